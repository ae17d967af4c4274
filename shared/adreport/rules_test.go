package adreport

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/fault"
)

func TestMetasHeadersAreReadInSevenLanguages(t *testing.T) {
	t.Parallel()
	for language, header := range map[string]string{
		"English":    "Reporting starts,Reporting ends,Campaign name,Campaign ID,Ad name,Ad ID,Impressions,Reach,Clicks (all),Amount spent (USD),Purchases,Age",
		"German":     "Berichtsstart,Berichtsende,Kampagnenname,Kampagnen-ID,Anzeigenname,Anzeigen-ID,Impressionen,Reichweite,Klicks (alle),Ausgegebener Betrag (USD),Käufe,Alter",
		"French":     "Début des rapports,Fin des rapports,Nom de la campagne,ID de la campagne,Nom de la publicité,ID de la publicité,Impressions,Couverture,Clics (tous),Montant dépensé (USD),Achats,Âge",
		"Spanish":    "Inicio del informe,Fin del informe,Nombre de la campaña,Identificador de la campaña,Nombre del anuncio,Identificador del anuncio,Impresiones,Alcance,Clics (todos),Importe gastado (USD),Compras,Edad",
		"Portuguese": "Início dos relatórios,Término dos relatórios,Nome da campanha,Identificação da campanha,Nome do anúncio,Identificação do anúncio,Impressões,Alcance,Cliques (todos),Valor usado (USD),Compras,Idade",
		"Italian":    "Inizio dei report,Fine dei report,Nome della campagna,ID campagna,Nome dell'inserzione,ID inserzione,Impression,Copertura,Clic (tutti),Importo speso (USD),Acquisti,Età",
		"Dutch":      "Start rapportage,Einde rapportage,Campagnenaam,Campagne-ID,Advertentienaam,Advertentie-ID,Weergaven,Bereik,Klikken (alle),Besteed bedrag (USD),Aankopen,Leeftijd",
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			for _, header := range []string{header, strings.ToUpper(header), strings.ReplaceAll(header, "é", "e\u0301")} {
				rows, rejected, r := readAll(t, header+"\n2026-11-01,2026-11-07,Fall,120900000000000001,Latte,120900000000000101,1000,800,10,50.5,3,18-24\n", terms("USD"))
				if len(rows) != 1 || len(rejected) != 0 {
					t.Fatalf("%d rows, rejected %q", len(rows), rejected)
				}
				got := rows[0]
				said := fmt.Sprint(got.First.Format("0102"), "-", got.Last.Format("0102"), " ", got.CampaignName, " ", got.CampaignID, " ", got.Name, " ", got.AdID,
					" ", got.Impressions, " ", *got.Reach, " ", got.Clicks, " ", got.Spend, " ", *got.Conversions)
				if diff := cmp.Diff("1101-1107 Fall 120900000000000001 Latte 120900000000000101 1000 800 10 5050 3", said); diff != "" {
					t.Error(diff)
				}
				if len(r.Breakdowns()) != 1 || len(r.Ignored()) != 0 {
					t.Errorf("breakdowns %q, ignored %q", r.Breakdowns(), r.Ignored())
				}
			}
		})
	}
}

func TestAColumnThatIsNoFigureTellsRowsApart(t *testing.T) {
	t.Parallel()
	for column, apart := range map[string]bool{
		"Age": true, "Media type": true, "Headline (ad settings)": true, "creative_id": true, "Month": true, "Bildvariante": true,
		"Ad set name": false, "Link clicks": false, "CTR (all)": false, "Cost per result (USD)": false, "Quality ranking": false, "Objective": false,
		"Attribution setting": false, "Video plays": false, "Kosten pro Ergebnis": false, "Ad creation date": true,
	} {
		c, err := match(record{cells: []string{"ad_id", "impressions", "clicks", "spend", column}})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.splits) == 1; got != apart {
			t.Errorf("%s tells rows apart: %v, want %v", column, got, apart)
		}
	}
	parts := map[string][16]byte{}
	for _, cell := range []string{"A", "B", "", "2,000", "3", "2026-11-01"} {
		rows, _, _ := readAll(t, fmt.Sprintf("ad_id,impressions,clicks,spend,Variant\na,1,1,1,%q\n", cell), terms("USD"))
		parts[cell] = rows[0].Part
	}
	if parts["A"] == parts["B"] || parts["A"] == parts[""] || parts["2,000"] != parts[""] || parts["3"] != parts[""] || parts["2026-11-01"] != parts[""] {
		t.Errorf("in a column of an unknown name text tells rows apart, and numbers and dates do not: %v", parts)
	}
}

func TestTheOrderOfColumnsChangesNoKey(t *testing.T) {
	t.Parallel()
	one, _, r1 := readAll(t, "ad_id,impressions,clicks,spend,Age,Gender\na,1,1,1,18-24,male\n", terms("USD"))
	two, _, r2 := readAll(t, "Gender,spend,Age,ad_id,clicks,impressions\nmale,1,18-24,a,1,1\n", terms("USD"))
	if one[0].Part != two[0].Part || r1.View() != r2.View() || r1.View() == 0 {
		t.Errorf("parts %x and %x, views %d and %d", one[0].Part, two[0].Part, r1.View(), r2.View())
	}
}

func TestIdsAreTakenAsThePlatformWritesThem(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"120209": "120209", "#120209": "120209", "`120209": "120209", "'120209": "120209", "120,209,001": "120209001", "120.209.001": "120209001",
		"120 209 001": "120209001", "120\u00a0209\u00a0001": "120209001", "120'209'001": "120209001", "a:120209": "120209", `="120209"`: "120209",
		"120209.0": "120209", "wd-1": "wd-1", "2026_11": "2026_11", "ad.1": "ad.1",
	} {
		rows, rejected, _ := readAll(t, "ad_id\timpressions\tclicks\tspend\n"+cell+"\t1\t1\t1\n", terms("USD"))
		if len(rows) != 1 || rows[0].AdID != want {
			t.Errorf("%q became %+v %q, want %q", cell, rows, rejected, want)
		}
	}
	for _, cell := range []string{"1.2E+17", "120.5", "123456789012345678.0", "1,2"} {
		if rows, rejected, _ := readAll(t, "ad_id\timpressions\tclicks\tspend\n"+cell+"\t1\t1\t1\n", terms("USD")); len(rows) != 0 || len(rejected) != 1 {
			t.Errorf("%q was taken: %+v", cell, rows)
		}
	}
}

func TestIdsThatASpreadsheetRoundedAreRefused(t *testing.T) {
	t.Parallel()
	file := func(ids ...string) string {
		text := "Ad ID,Impressions,Clicks (all),Amount spent (USD)\n"
		for _, id := range ids {
			text += id + ",1,1,1\n"
		}
		return text
	}
	_, rejected, _ := readAll(t, file("120210985764321000", "120210985764999000", "12"), terms("USD"))
	if len(rejected) != 2 || !strings.Contains(rejected[0], "rounded") {
		t.Errorf("rejected %q", rejected)
	}
	for _, ids := range [][]string{{"120210985764321000", "120210985764999001"}, {"1234567890123450"}, {"120000000000000", "12000"}} {
		if rows, rejected, _ := readAll(t, file(ids...), terms("USD")); len(rows) != len(ids) {
			t.Errorf("%q: rejected %q", ids, rejected)
		}
	}
}

func TestAnOptionalCellThatCannotBeUsedCostsTheCell(t *testing.T) {
	t.Parallel()
	rows, rejected, r := readAll(t, "ad_id,impressions,clicks,spend,reach,conversions,daily_budget,created_at,status,leads\n"+
		"a,100,3,144.,x,2.5,-1,tomorrow,SLEEPING,1e5\nb,1,2,1,5,3,10,,,\n", terms("USD"))
	if len(rejected) != 0 || len(rows) != 2 {
		t.Fatalf("rejected %q", rejected)
	}
	a := rows[0]
	if a.Spend != 14400 || a.Reach != nil || a.Conversions != nil || a.DailyBudget != nil || a.CreatedAt != nil || a.Status != "" || a.Leads != nil {
		t.Errorf("%+v", a)
	}
	if b := rows[1]; b.Clicks != 1 || *b.Reach != 5 || *b.Conversions != 3 {
		t.Errorf("%+v", b)
	}
	if len(r.Notes()) != 7 || !strings.HasPrefix(r.Notes()[0], "line 2: reach is not a number") {
		t.Errorf("notes %q", r.Notes())
	}
}

func TestResultsCountByTheirExactType(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"actions:omni_purchase": "purchase", "actions:offsite_conversion.fb_pixel_purchase": "purchase", "Website purchases": "purchase",
		"actions:onsite_conversion.lead_grouped": "lead", "actions:leadgen.other": "lead", "Leads (form)": "lead",
		"conversions:offsite_conversion.fb_pixel_custom.PurchaseIntent": "", "actions:offsite_conversion.fb_pixel_add_to_cart": "", "reach": "",
		"actions:offsite_conversion.fb_pixel_initiate_checkout": "", "actions:link_click": "", "Leadership page views": "", "": "",
	} {
		rows, _, r := readAll(t, "ad_id,impressions,clicks,spend,Results,Result indicator\na,100,3,1,4,"+kind+"\n", terms("USD"))
		got := ""
		switch {
		case rows[0].Conversions != nil:
			got = "purchase"
		case rows[0].Leads != nil:
			got = "lead"
		}
		if got != want || (want == "") != (len(r.Notes()) == 1) {
			t.Errorf("%q counts as %q, want %q; notes %q", kind, got, want, r.Notes())
		}
	}
}

func TestARowThatIsShiftedOrCutOffIsNotGuessed(t *testing.T) {
	t.Parallel()
	const head = "Ad ID,Impressions,Clicks (all),Amount spent (USD),Ad delivery\n"
	rows, rejected, _ := readAll(t, head+"1,100,3,1,active\n2,1,234,5,1.50,\n3,100\n4,100,3,1,\n5,100,3,1\n", terms("USD"))
	want := []string{
		"3 : has 6 cells and the header 5: a number or text with a separator in it needs quotes",
		"4 : has 2 cells and the header 5: the line is cut off",
	}
	if diff := cmp.Diff(want, rejected); diff != "" || len(rows) != 3 {
		t.Errorf("%d rows %s", len(rows), diff)
	}
	if rows, rejected, _ := readAll(t, "ad_id,impressions,clicks,spend\n1,1,1,1,\n2,2,2,2,\n", terms("USD")); len(rows) != 2 {
		t.Errorf("a comma behind every row: %q", rejected)
	}
}

func TestAPeriodHasAStartAndAnEnd(t *testing.T) {
	t.Parallel()
	rows, rejected, _ := readAll(t, "ad_id,reporting_start,reporting_end,impressions,clicks,spend\n"+
		"a,2026-11-01,2026-11-07,1,1,1\nb,2026-11-07,2026-11-01,1,1,1\nc,,2026-11-01,1,1,1\nd,2026-11-02,2026-11-02,1,1,1\n", terms("USD"))
	if len(rows) != 2 || rows[0].Last.Day() != 7 || !rows[1].First.Equal(rows[1].Last) {
		t.Errorf("%+v", rows)
	}
	want := []string{"3 reporting_end: is before the start", "4 reporting_start: is empty"}
	if diff := cmp.Diff(want, rejected); diff != "" {
		t.Error(diff)
	}
}

func TestUTF16WithoutAMarkIsReadAndOtherNULsAreRefused(t *testing.T) {
	t.Parallel()
	text := "Ad ID\tImpressions\tClicks (all)\tAmount spent (USD)\n1\t1234\t12\t1050.75\n"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var file []byte
		for _, u := range utf16.Encode([]rune(text)) {
			file = order.AppendUint16(file, u)
		}
		rows, rejected, _ := readAll(t, string(file), terms("USD"))
		if len(rows) != 1 || rows[0].AdID != "1" || rows[0].Spend != 105075 {
			t.Errorf("%v: %+v %q", order, rows, rejected)
		}
	}
	if _, err := Open(strings.NewReader("ad_id,impressions,clicks,spend\na\x00,1,1,1\n")); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "encoding") {
		t.Errorf("NULs: %v", err)
	}
}

func TestRowsOfTotalsAreKnownInEveryLanguage(t *testing.T) {
	t.Parallel()
	const head = "Ad status,Campaign,Ad ID,Impr.,Clicks,Cost\nEnabled,One,1,10,1,1\n"
	for _, row := range []string{
		"Total: Ads, --, --,10,1,1", "Total,,,10,1,1", ",Total results 1 / 1 row displayed,,10,1,1", "Gesamt, --, --,10,1,1", "Total general,,,10,1,1",
		",Results from 12 ads,,10,1,1", "Totaal: advertenties,,,10,1,1",
	} {
		rows, rejected, r := readAll(t, head+row+"\n"+row+"\n", terms("USD"))
		if len(rows) != 1 || len(rejected) != 0 || len(r.Skipped()) != 2 {
			t.Errorf("%q: rejected %q, skipped %v", row, rejected, r.Skipped())
		}
	}
}
