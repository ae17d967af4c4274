package adreport

import (
	"cmp"
	"crypto/sha256"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
)

// split is a column by which a report may spread one ad's figures of one time
// over several rows: age, placement, creative, headline.
type split struct {
	at     int
	name   string // as letters writes it
	header string
	// always is whether every cell counts. In a column that is not known by its
	// name only text does: a number there is a figure, and a date changes from one
	// export to the next.
	always bool
}

// breakdowns are the names of columns that split an ad's figures for certain.
var breakdowns = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range lettersOf(`age, gender, interest, country, region, dma region, city, platform, publisher platform, placement,
		platform position, device platform, impression device, conversion device, device, hour, hour of day, month, week, quarter,
		time of day, time of day (ad account time zone), time of day (viewer's time zone), product id, media type, media format, creative,
		creative id, ad creative id, headline, title, body, text, description, image, video, call to action, link, website url, carousel card,
		network, keyword, search term, ad format asset, sound, message destination, audience, audience segment, user segment, language
		Alter, Geschlecht, Land, Region, Plattform, Platzierung, Gerät, Impression-Gerät, Monat, Woche, Stunde, Medientyp, Überschrift, Bild
		Âge, Genre, Sexe, Pays, Région, Plateforme, Appareil, Appareil d'impression, Mois, Semaine, Heure, Type de média, Titre
		Edad, Sexo, Género, País, Región, Plataforma, Ubicación, Dispositivo, Mes, Semana, Hora, Título, Imagen
		Idade, Gênero, Região, Posicionamento, Mês, Título, Imagem
		Età, Genere, Sesso, Paese, Regione, Area geografica, Piattaforma, Posizionamento, Mese, Settimana, Ora, Titolo, Immagine
		Leeftijd, Geslacht, Regio, Plaatsing, Apparaat, Maand, Week, Uur, Kop, Afbeelding`) {
		all[name] = true
	}
	return all
}()

// attributes describe an ad; they change from one export to the next and tell no
// rows apart.
var attributes = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range lettersOf(`ad set name, adset name, ad set, adset, ad group, ad group name, account name, account, objective, campaign objective, buying type,
		attribution setting, attribution window, quality ranking, engagement rate ranking, conversion rate ranking, starts, ends, start, end,
		ad created, date last edited, last significant edit, last edited, updated at, updated time, bid strategy, bid type, optimization goal,
		performance goal, ad set delivery, campaign delivery, ad set status, adset status, campaign status, ad group status, campaign type,
		ad type, tags, labels, ad labels,
		preview link, permalink, post url, schedule, ad schedule, time zone, time zone name, delivery level, notes, ad set end time,
		ad set start time
		Anzeigengruppenname, Name der Anzeigengruppe, Kontoname, Ziel, Attributionseinstellung, Startet, Endet, Beginn, Ende, Qualitätsranking,
		Letzte Bearbeitung
		Nom de l'ensemble de publicités, Nom du compte, Objectif, Paramètre d'attribution, Début, Fin, Date de début, Date de fin,
		Classement de qualité
		Nombre del conjunto de anuncios, Nombre de la cuenta, Objetivo, Configuración de atribución, Inicio, Finalización,
		Clasificación por calidad, Entrega de la campaña, Entrega del conjunto de anuncios
		Nome do conjunto de anúncios, Nome da conta, Configuração de atribuição, Início, Término, Classificação de qualidade,
		Veiculação da campanha
		Nome del gruppo di inserzioni, Nome gruppo di inserzioni, Nome account, Obiettivo, Impostazione di attribuzione, Inizio, Fine,
		Classificazione della qualità
		Naam advertentieset, Advertentiesetnaam, Naam van advertentieset, Accountnaam, Doel, Toeschrijvingsinstelling, Begint, Eindigt, Begint op,
		Eindigt op, Kwaliteitsranglijst`) {
		all[name] = true
	}
	return all
}()

// figureWords are words of headers that stand over numbers; their columns tell no
// rows apart.
var figureWords = func() map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(`cost costs cpc cpm cpp cpa cpl ctr cvr roas rate ratio percent percentage click clicks view views play plays
		value values unique purchase purchases lead leads conversion conversions result results adds checkout checkouts installs install likes
		comments shares reactions saves engagement engagements thruplay thruplays seconds average avg followers follows replies
		registrations subscriptions searches score impressions reach frequency spent spend budget bid amount total number count hook hold events
		downloads sessions visitors lift recall interactions interaction
		kosten klicks klickrate aufrufe wert ergebnisse kaufe interaktionen betrag budget
		cout couts taux valeur vues lectures achats resultats clics prospects montant
		coste costes costo costos tasa valor visualizaciones reproducciones compras importe presupuesto resultados
		custo custos taxa visualizacoes reproducoes cliques orcamento
		costi tasso valore visualizzazioni riproduzioni acquisti risultati clic importo
		waarde weergaven aankopen klikken resultaten bedrag percentage`) {
		all[letters(word)] = true
	}
	return all
}()

// splitOf says whether the column called name, which stands for no field, tells
// rows of one ad and time apart.
func splitOf(at int, name, header string) (split, bool) {
	s := split{at: at, name: name, header: header}
	switch {
	case breakdowns[name]:
		s.always = true
		return s, true
	case isAlias[name], attributes[name], name == "":
		return s, false
	}
	words := strings.FieldsFunc(header, func(r rune) bool { return letters(string(r)) == "" })
	for i, word := range words {
		words[i] = letters(word)
		if figureWords[words[i]] {
			return s, false
		}
	}
	s.always = words[len(words)-1] == "id" || words[len(words)-1] == "hash"
	return s, true
}

// order sorts the splits by name, so that the order of columns does not matter,
// and numbers their view.
func (c *columns) order() {
	slices.SortFunc(c.splits, func(a, b split) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.at, b.at)) })
	if len(c.splits) == 0 {
		return
	}
	h := fnv.New64a()
	for _, s := range c.splits {
		_, _ = h.Write([]byte(s.name + "\x00"))
	}
	c.view = max(int64(h.Sum64()>>1), 1) //nolint:gosec // 63 bits
}

// part is a number for the cells that tell rec apart from other rows of its ad
// and time; it is all zero where none does.
func (c *columns) part(rec *record) (part [16]byte) {
	var key []byte
	for _, s := range c.splits {
		cell := unmarked(rec.cell(s.at))
		if cell == "" || !s.always && (figure(cell) || dateLike.MatchString(cell)) {
			continue
		}
		key = append(append(append(append(key, s.name...), 0), cell...), 0)
	}
	if len(key) > 0 {
		sum := sha256.Sum256(key)
		copy(part[:], sum[:])
	}
	return part
}

var dateLike = regexp.MustCompile(`^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([T ].*)?$`)

// figure reports whether a cell is a number, whatever its separators.
func figure(cell string) bool {
	n, core := cut(cell)
	return core != "" && strings.Trim(core, "0123456789.,_") == "" && strings.ContainsAny(core, "0123456789") &&
		(n.sign == "" || len(meant(n.sign)) > 0)
}
