package adreport

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/geminivideo/geminivideo/shared/money"
)

// field is what a column stands for.
type field int

const (
	adID field = iota
	adName
	adsetID
	campaignID
	campaignName
	accountID
	day
	starts
	ends
	impressions
	clicks
	spend
	reach
	frequency
	leads
	conversions
	results
	resultKind
	pipeline
	revenue
	status
	delivery
	dailyBudget
	adsetBudget
	adsetBudgetKind
	campaignBudget
	campaignBudgetKind
	creativeDNA
	createdAt
	ageHours
	ageDays
	currency
	numFields
)

// fields lists, for every field, our name for it and the header names that mean
// it, in order of preference, as letters writes them. Meta's names in German,
// French, Spanish, Portuguese, Italian and Dutch are in translations. A file
// with both all clicks and link clicks is read by all clicks, as Meta's own ctr is.
var fields = [numFields]struct {
	name    string
	aliases []string
	money   bool
}{
	adID:         {name: "ad_id", aliases: []string{"adid", "adidentifier", "id"}},
	adName:       {name: "name", aliases: []string{"adname", "name", "ad"}},
	adsetID:      {name: "adset_id", aliases: []string{"adsetid", "adgroupid"}},
	campaignID:   {name: "campaign_id", aliases: []string{"campaignid", "xyzcampaignid", "fbcampaignid"}},
	campaignName: {name: "campaign_name", aliases: []string{"campaignname", "campaign"}},
	accountID:    {name: "account_id", aliases: []string{"accountid", "adaccountid"}},
	day:          {name: "day", aliases: []string{"day", "date", "reportdate"}},
	starts: {
		name:    "reporting_starts",
		aliases: []string{"reportingstarts", "reportingstart", "datestart", "startdate", "periodstart"},
	},
	ends: {
		name:    "reporting_ends",
		aliases: []string{"reportingends", "reportingend", "datestop", "dateend", "enddate", "periodend"},
	},
	impressions: {name: "impressions", aliases: []string{"impressions", "impr"}},
	clicks:      {name: "clicks", aliases: []string{"clicksall", "clicks", "linkclicks", "inlinelinkclicks", "outboundclicks"}},
	spend:       {name: "spend", aliases: []string{"amountspent", "spend", "spent", "adspend", "cost"}, money: true},
	reach:       {name: "reach", aliases: []string{"reach"}},
	frequency:   {name: "frequency", aliases: []string{"frequency"}},
	leads: {name: "leads", aliases: []string{
		"leads", "totalconversion", "totalconversions", "leadsform", "websiteleads",
		"metaleads",
	}},
	conversions: {
		name:    "conversions",
		aliases: []string{"approvedconversion", "approvedconversions", "conversions", "purchases", "websitepurchases", "metapurchases"},
	},
	results:    {name: "results", aliases: []string{"results"}},
	resultKind: {name: "result_indicator", aliases: []string{"resultindicator", "resulttype"}},
	pipeline:   {name: "pipeline_value", aliases: []string{"pipelinevalue", "pipeline"}, money: true},
	revenue: {name: "revenue", aliases: []string{
		"revenue", "cashrevenue", "purchasesconversionvalue", "purchaseconversionvalue",
		"websitepurchasesconversionvalue", "conversionvalue", "convvalue",
	}, money: true},
	status:             {name: "status", aliases: []string{"status"}},
	delivery:           {name: "ad_delivery", aliases: []string{"addelivery", "adstatus", "delivery", "deliverystatus", "effectivestatus"}},
	dailyBudget:        {name: "daily_budget", aliases: []string{"dailybudget", "addailybudget", "currentbudget"}, money: true},
	adsetBudget:        {name: "adset_budget", aliases: []string{"adsetbudget"}, money: true},
	adsetBudgetKind:    {name: "adset_budget_type", aliases: []string{"adsetbudgettype"}},
	campaignBudget:     {name: "campaign_budget", aliases: []string{"campaignbudget"}, money: true},
	campaignBudgetKind: {name: "campaign_budget_type", aliases: []string{"campaignbudgettype"}},
	creativeDNA:        {name: "creative_dna", aliases: []string{"creativedna", "dna"}},
	createdAt:          {name: "created_at", aliases: []string{"createdat", "createdtime", "datecreated", "created"}},
	ageHours:           {name: "age_hours", aliases: []string{"agehours"}},
	ageDays:            {name: "age_days", aliases: []string{"agedays"}},
	currency:           {name: "currency", aliases: []string{"currency", "currencycode", "accountcurrency"}},
}

// translations are Meta's header names in German, French, Spanish, Portuguese,
// Italian and Dutch, one language a line.
var translations = map[field]string{
	adID: `Anzeigen-ID, Werbeanzeigen-ID, Anzeigenkennung
		ID de la publicité, Identifiant de la publicité, Numéro de la publicité, Numéro de publicité, ID de publicité, ID de l’annonce
		Identificador del anuncio, ID del anuncio, ID de anuncio
		Identificação do anúncio, ID do anúncio, Identificador do anúncio
		ID inserzione, ID dell'inserzione, Identificativo inserzione
		Advertentie-ID, ID advertentie, ID van advertentie`,
	adName: `Anzeigenname, Name der Anzeige, Name der Werbeanzeige
		Nom de la publicité, Nom de l’annonce
		Nombre del anuncio
		Nome do anúncio
		Nome dell'inserzione, Nome inserzione
		Advertentienaam, Naam advertentie, Naam van advertentie`,
	adsetID: `Anzeigengruppen-ID, ID der Anzeigengruppe
		ID de l'ensemble de publicités, Identifiant de l'ensemble de publicités, Numéro de l'ensemble de publicités
		Identificador del conjunto de anuncios, ID del conjunto de anuncios
		Identificação do conjunto de anúncios, ID do conjunto de anúncios, Identificador do conjunto de anúncios
		ID gruppo di inserzioni, ID del gruppo di inserzioni
		Advertentieset-ID, ID advertentieset, ID van advertentieset`,
	campaignID: `Kampagnen-ID, ID der Kampagne
		ID de la campagne, Identifiant de la campagne, Numéro de la campagne, Numéro de campagne, ID de campagne
		Identificador de la campaña, ID de la campaña, ID de campaña
		Identificação da campanha, ID da campanha, Identificador da campanha
		ID campagna, ID della campagna
		Campagne-ID, ID campagne, ID van campagne`,
	campaignName: `Kampagnenname, Name der Kampagne
		Nom de la campagne
		Nombre de la campaña
		Nome da campanha
		Nome della campagna, Nome campagna
		Campagnenaam, Naam campagne, Naam van campagne`,
	accountID: `Konto-ID, Werbekonto-ID, Kontonummer
		ID du compte, Identifiant du compte, Numéro de compte, ID du compte publicitaire
		Identificador de la cuenta, ID de la cuenta
		Identificação da conta, ID da conta, Identificador da conta
		ID account, ID dell'account, ID account pubblicitario
		Account-ID, ID account, Advertentieaccount-ID`,
	day: "Tag, Datum\nJour, Date\nDía, Fecha\nDia, Data\nGiorno, Data\nDag, Datum",
	starts: `Berichtsstart, Berichtsbeginn, Beginn des Berichts
		Début des rapports, Début du rapport, Début de la période
		Inicio del informe, Inicio de los informes, Inicio del reporte
		Início dos relatórios, Início do relatório
		Inizio dei report, Inizio report, Inizio del report, Inizio della generazione dei report
		Start rapportage, Begin rapportage, Begin van rapportage, Rapportage begint, Rapportagestart, Start van rapportage`,
	ends: `Berichtsende, Ende des Berichts
		Fin des rapports, Fin du rapport, Fin de la période
		Fin del informe, Fin de los informes, Fin del reporte, Finalización del informe
		Término dos relatórios, Término do relatório, Encerramento dos relatórios, Fim dos relatórios, Fim do relatório
		Fine dei report, Fine report, Fine del report, Fine della generazione dei report
		Einde rapportage, Einde van rapportage, Rapportage eindigt, Rapportage-einde, Eind rapportage`,
	impressions: `Impressionen
		Impressions
		Impresiones
		Impressões
		Impression, Impressioni, Visualizzazioni
		Weergaven, Vertoningen, Impressies`,
	clicks: `Klicks (alle), Klicks, Link-Klicks, Linkklicks, Ausgehende Klicks
		Clics (tous), Clics, Clics sur un lien, Clics sur le lien, Clics sortants
		Clics (todos), Clics, Clics en el enlace, Clics en enlace, Clics salientes
		Cliques (todos), Cliques, Cliques no link, Cliques em links, Cliques na ligação, Cliques de saída
		Clic (tutti), Clic, Clic sul link, Clic in uscita
		Klikken (alle), Klikken (alles), Klikken, Linkklikken, Linkkliks, Klikken op link, Klikken op links, Klikken op een link,
		Uitgaande klikken`,
	spend: `Ausgegebener Betrag, Ausgaben
		Montant dépensé, Montant dépense
		Importe gastado, Cantidad gastada, Monto gastado
		Valor usado, Valor gasto, Montante gasto, Quantia gasta
		Importo speso, Spesa
		Besteed bedrag, Uitgegeven bedrag`,
	reach:     "Reichweite\nCouverture, Portée\nAlcance\nAlcance\nCopertura\nBereik",
	frequency: "Häufigkeit, Frequenz\nRépétition, Fréquence\nFrecuencia\nFrequência\nFrequenza\nFrequentie",
	leads: `Website-Leads, Meta-Leads
		Prospects, Leads
		Clientes potenciales
		Leads, Cadastros
		Contatti, Lead
		Leads`,
	conversions: `Käufe, Website-Käufe, Meta-Käufe
		Achats, Achats sur le site web, Achats sur Meta
		Compras, Compras en el sitio web, Compras en Meta
		Compras, Compras no site, Compras na Meta
		Acquisti, Acquisti sul sito web, Acquisti su Meta
		Aankopen, Aankopen op website, Website-aankopen, Meta-aankopen`,
	results: "Ergebnisse\nRésultats\nResultados\nResultados\nRisultati\nResultaten",
	resultKind: `Ergebnis-Indikator, Ergebnisindikator, Ergebnistyp, Art des Ergebnisses
		Indicateur de résultat, Indicateur de résultats, Indicateur des résultats, Type de résultat
		Indicador de resultado, Indicador de resultados, Tipo de resultado
		Indicador de resultado, Indicador de resultados, Tipo de resultado
		Indicatore di risultato, Indicatore dei risultati, Indicatore del risultato, Tipo di risultato
		Resultaatindicator, Resultatenindicator, Indicator voor resultaten, Resultaattype`,
	revenue: `Conversion-Wert von Käufen, Kauf-Conversion-Wert, Conversion-Wert für Käufe, Wert der Kauf-Conversions, Conversionwert
		Valeur de conversion des achats, Valeur de conversion d’achats, Valeur de conversion
		Valor de conversión de compras, Valor de conversión de las compras, Valor de conversión
		Valor de conversão da compra, Valor de conversão de compras, Valor de conversão das compras, Valor de conversão
		Valore di conversione degli acquisti, Valore di conversione acquisti, Valore di conversione
		Conversiewaarde van aankopen, Conversiewaarde aankopen, Aankoopconversiewaarde, Conversiewaarde`,
	delivery: `Anzeigenauslieferung, Auslieferung, Auslieferungsstatus
		Diffusion de la publicité, Diffusion
		Entrega del anuncio, Entrega
		Veiculação do anúncio, Veiculação
		Pubblicazione dell'inserzione, Pubblicazione
		Advertentielevering, Levering, Weergavestatus`,
	adsetBudget: `Anzeigengruppenbudget, Budget der Anzeigengruppe
		Budget de l'ensemble de publicités
		Presupuesto del conjunto de anuncios
		Orçamento do conjunto de anúncios
		Budget del gruppo di inserzioni
		Advertentiesetbudget, Budget advertentieset, Budget van advertentieset`,
	adsetBudgetKind: `Art des Anzeigengruppenbudgets, Budgettyp der Anzeigengruppe
		Type de budget de l'ensemble de publicités
		Tipo de presupuesto del conjunto de anuncios
		Tipo de orçamento do conjunto de anúncios, Tipo de orçamento
		Tipo di budget del gruppo di inserzioni
		Type advertentiesetbudget, Budgettype van advertentieset`,
	campaignBudget: `Kampagnenbudget
		Budget de la campagne
		Presupuesto de la campaña
		Orçamento da campanha
		Budget della campagna
		Campagnebudget`,
	campaignBudgetKind: `Art des Kampagnenbudgets
		Type de budget de la campagne
		Tipo de presupuesto de la campaña
		Tipo de orçamento da campanha
		Tipo di budget della campagna
		Type campagnebudget`,
	currency: "Währung\nDevise\nDivisa, Moneda\nMoeda\nValuta\nValuta",
}

// aliases are the names of each field in order of preference, and aliasOf the
// fields that any of them means.
var aliases, isAlias = func() (all [numFields][]string, known map[string]bool) {
	known = map[string]bool{}
	for f := range numFields {
		all[f] = append(all[f], fields[f].aliases...)
		all[f] = append(all[f], lettersOf(translations[f])...)
		if f == clicks { // all clicks of any language before link clicks of another
			all[f] = append([]string{"clicksall"},
				append(lettersOf("Klicks (alle), Clics (tous), Clics (todos), Cliques (todos), Clic (tutti), Klikken (alle)"),
					all[f]...)...)
		}
		for _, name := range all[f] {
			known[name] = true
		}
	}
	return all, known
}()

// lettersOf splits a list of header names at commas and line ends.
func lettersOf(list string) []string {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' })
	for i := range names {
		names[i] = letters(names[i])
	}
	return names
}

// plain returns a header's name without case, accents, spacing and punctuation,
// and the currency that it names: "Amount spent (USD)" is amountspent, USD.
func plain(header string) (name string, code money.Currency) {
	header = strings.TrimSpace(header)
	if m := trailingCode.FindStringSubmatchIndex(header); m != nil {
		if c := money.Currency(strings.ToUpper(header[m[2]:m[3]])); known(c) {
			return letters(header[:m[0]]), c
		}
	}
	name = letters(header)
	if len(name) > 3 { // spend_usd
		rest, c := name[:len(name)-3], money.Currency(strings.ToUpper(name[len(name)-3:]))
		if known(c) && isMoney[rest] {
			return rest, c
		}
	}
	return name, ""
}

var isMoney = func() map[string]bool {
	money := map[string]bool{}
	for f := range numFields {
		for _, alias := range aliases[f] {
			money[alias] = money[alias] || fields[f].money
		}
	}
	return money
}()

// letters keeps the letters and digits of s, in lower case and without accents.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKD.String(s))
}
