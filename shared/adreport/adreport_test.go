package adreport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func terms(c money.Currency) Terms { return Terms{Account: "acc", Currency: c, Now: now} }

// readAll reads a whole file; rejections are "line column: reason".
func readAll(t *testing.T, text string, in Terms) (rows []Row, rejected []string, r *Reader) {
	t.Helper()
	r, err := Open(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(in); err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		var bad *Rejected
		switch {
		case errors.Is(err, io.EOF):
			return rows, rejected, r
		case errors.As(err, &bad):
			rejected = append(rejected, fmt.Sprintf("%d %s: %s", bad.Line, bad.Column, bad.Reason))
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, row)
		}
	}
}

func TestAnAdsManagerExportIsReadAndItsSummaryRowPassedOver(t *testing.T) {
	t.Parallel()
	const file = "\ufeffReporting starts,Reporting ends,Ad name,Ad delivery,Results,Result indicator,Reach,Frequency,Ad ID,Campaign ID,Campaign name,Ad set ID,Ad set name,Ad set budget,Ad set budget type,Amount spent (USD),Impressions,Clicks (all),Link clicks,CTR (all),Purchases,Purchases conversion value,Account ID\r\n" +
		"2026-11-01,2026-11-21,,,30,,,,,,,,,0,0,\"1,434.56\",\"22,000\",350,300,,,,\r\n" +
		"2026-11-01,2026-11-21,\"Latte, \"\"hot\"\"\",active,18,actions:lead,\"9,000\",1.33,120211111111111111,120200000000000001,Fall Promo,120220000000000001,Locals,50.00,Daily,\"$1,234.56\",\"12,000\",240,200,2.10%,,,act_acc\r\n" +
		"2026-11-01,2026-11-21,Dead row,not_delivering,,,,,120211111111111112,120200000000000001,Fall Promo,120220000000000001,Locals,Using campaign budget,0,,,,,,,,acc\r\n" +
		"2026-11-01,2026-11-21,Sold,inactive,3,actions:offsite_conversion.fb_pixel_purchase,,,120211111111111113,120200000000000001,Fall Promo,120220000000000001,Locals,,,200,\"10,000\",110,100,,,\"1,000.5\",acc\r\n"
	rows, rejected, r := readAll(t, file, terms("USD"))
	if len(rejected) != 0 {
		t.Fatal(rejected)
	}
	if diff := cmp.Diff([]int{2}, r.Skipped()); diff != "" {
		t.Error(diff)
	}
	leads, sold, reach, frequency, budget, value := int64(18), int64(3), int64(9000), 1.33, money.Amount(5000), money.Amount(100050)
	first, last := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	want := []Row{
		{Line: 3, First: first, Last: last, AdID: "120211111111111111", Name: `Latte, "hot"`, AdsetID: "120220000000000001", CampaignID: "120200000000000001", CampaignName: "Fall Promo", Status: "ACTIVE", Impressions: 12000, Clicks: 240, Spend: 123456, Reach: &reach, Frequency: &frequency, Leads: &leads, AdsetBudget: &budget},
		{Line: 4, First: first, Last: last, AdID: "120211111111111112", Name: "Dead row", AdsetID: "120220000000000001", CampaignID: "120200000000000001", CampaignName: "Fall Promo", Status: "PAUSED"},
		{Line: 5, First: first, Last: last, AdID: "120211111111111113", Name: "Sold", AdsetID: "120220000000000001", CampaignID: "120200000000000001", CampaignName: "Fall Promo", Status: "PAUSED", Impressions: 10000, Clicks: 110, Spend: 20000, Conversions: &sold, Revenue: &value, Pipeline: &value},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if r.Currency() != "USD" || r.Account() != "act_acc" {
		t.Errorf("currency %q, account %q", r.Currency(), r.Account())
	}
	if diff := cmp.Diff([]string{"Ad set name", "Link clicks", "CTR (all)"}, r.Ignored()); diff != "" {
		t.Error(diff)
	}
}

func TestTheConversionDataSetIsReadByItsOwnColumns(t *testing.T) {
	t.Parallel()
	const file = "ad_id,xyz_campaign_id,fb_campaign_id,age,gender,interest,Impressions,Clicks,Spent,Total_Conversion,Approved_Conversion\r\n" +
		"1,916,103916,30-34,M,15,7350,1,1.429999948,2,1\r\n" +
		"2,916,103917,30-34,M,16,17861,2,1.82,2,0\r\n"
	rows, rejected, _ := readAll(t, file, terms("USD"))
	two, one, zero := int64(2), int64(1), int64(0)
	want := []Row{
		{Line: 2, AdID: "1", CampaignID: "916", Impressions: 7350, Clicks: 1, Spend: 143, Leads: &two, Conversions: &one},
		{Line: 3, AdID: "2", CampaignID: "916", Impressions: 17861, Clicks: 2, Spend: 182, Leads: &two, Conversions: &zero},
	}
	if diff := cmp.Diff(want, rows, cmpopts.IgnoreFields(Row{}, "Part")); diff != "" || len(rejected) != 0 {
		t.Error(diff, rejected)
	}
}

func TestEveryBadRowIsNamedByItsLineAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	file := strings.Join([]string{
		"AD-ID, Campaign_ID ,IMPRESSIONS,clicks,Spend,day,creative_dna,status", // 1
		"a1,c,100,5,1.50,2026-11-20,,",                                         // 2
		"",                                                                     // 3
		"a2,c,-100,5,1.50,2026-11-20,,",                                        // 4
		"a3,c,100,NaN,1.50,2026-11-20,,",                                       // 5
		"a4,c,100,101,1.50,2026-11-20,,",                                       // 6
		",c,100,5,1.50,2026-11-20,,",                                           // 7
		"1.2E+17,c,100,5,1.50,2026-11-20,,",                                    // 8
		"a1,c,90,5,1.50,2026-11-20,,",                                          // 9
		"\"a5\nb\",c,100,5,1.50,2026-11-20,,",                                  // 10, 11
		"a6,c,100,5,-1,2026-11-20,,",                                           // 12
		"a7,c,1.5,5,x,2026-11-20,,",                                            // 13
		"a8,c,1,234,5,1.50,2026-11-20,,ACTIVE",                                 // 14
		"a9,c,100,5,€2,2026-11-20,,",                                           // 15
		"b1,c,100,5,1,2027-01-01,,",                                            // 16
		"b2,c,100,5,1,02/03/2026,,",                                            // 17
		"b3,c,100,5,1,2026-11-20,[1],",                                         // 18
		"b4,c,100,5,1,2026-11-20,,SLEEPING",                                    // 19
		strings.Repeat("x", 129) + ",c,100,5,1,2026-11-20,,",                   // 20
		"b5,c,,5,1,2026-11-20,,",                                               // 21
		"a1,c,100,5,1.50,2026-11-21,,",                                         // 22
		"b6,c,100,5,1e+20,2026-11-20,,",                                        // 23
		"b7,c,100,5%,1,2026-11-20,,",                                           // 24
		`b8,c,100,5,1,2026-11-20,"{""k"":""\u0000""}",`,                        // 25
		"b9,c,100",                  // 26
		",,200,5,1.50,2026-11-20,,", // 27: not an Ads Manager export
		`c1,c,100,5,1,2026-11-20,"` + strings.Repeat(`{""k"":`, 17) + "1" + strings.Repeat("}", 17) + `",`, // 28
		`c2,c,100,5,1,2026-11-20,"` + strings.Repeat(`{""k"":`, 16) + "1" + strings.Repeat("}", 16) + `",`, // 29
	}, "\n")
	rows, rejected, r := readAll(t, file, terms("USD"))
	want := []string{
		"4 IMPRESSIONS: must not be negative",
		"5 clicks: is not a number",
		"7 AD-ID: is empty",
		"8 AD-ID: is a number that a spreadsheet has rounded, so its last digits are lost: format the column as text and export again",
		"9 AD-ID: lines 2 and 9 are of the same ad and day and differ, so none of the ad's rows is taken: export the column that tells them apart (such as Age, Gender, Country, Placement, Creative ID), or leave one out",
		"10 AD-ID: must not hold control characters",
		"12 Spend: must not be negative",
		"13 IMPRESSIONS: must be a whole number; Spend is not a number",
		"14 : has 9 cells and the header 8: a number or text with a separator in it needs quotes",
		"15 Spend: is in another currency: the account is in USD",
		"16 day: is in the future",
		"17 day: may be day/month or month/day, and no other row tells: write it as 2026-11-22",
		"20 AD-ID: must have at most 128 characters",
		"21 IMPRESSIONS: is empty",
		"22 AD-ID: lines 2 and 9 are of the same ad and day and differ, so none of the ad's rows is taken: export the column that tells them apart (such as Age, Gender, Country, Placement, Creative ID), or leave one out",
		"23 Spend: is in scientific notation, which drops digits: format the column as a number, or as text, and export again",
		"24 clicks: is a percentage; a count is expected",
		"26 : has 3 cells and the header 8: the line is cut off",
		"27 AD-ID: is empty",
	}
	if diff := cmp.Diff(want, rejected); diff != "" {
		t.Error(diff)
	}
	var lines []int
	for _, row := range rows {
		lines = append(lines, row.Line)
	}
	if diff := cmp.Diff([]int{2, 6, 18, 19, 25, 28, 29}, lines); diff != "" {
		t.Error(diff)
	}
	wantNotes := []string{
		"line 6: clicks was above the impressions and counts as many",
		"line 18: creative_dna must be a JSON object; the cell was left out",
		"line 19: status must be one of ACTIVE, PAUSED, ARCHIVED, DELETED; the cell was left out",
		"line 25: creative_dna must not hold a NUL character; the cell was left out",
		"line 28: creative_dna must be nested at most 16 deep; the cell was left out",
	}
	if diff := cmp.Diff(wantNotes, r.Notes()); diff != "" {
		t.Error(diff)
	}
	if got := r.Conflicts(); len(got) != 1 || got[0].AdID != "a1" {
		t.Errorf("conflicts %+v", got)
	}
}

func TestNumbersAreReadAsTheFileWritesThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file  string
		currency    money.Currency
		impressions int64
		spend       money.Amount
	}{
		{"plain", "ad_id,impressions,clicks,spend\na,1000,1,1234.5", "USD", 1000, 123450},
		{"thousands", "ad_id,impressions,clicks,spend\na,\"1,234,567\",1,\"1,234.505\"", "USD", 1234567, 123451},
		{"India's groups", "ad_id,impressions,clicks,spend\na,\"12,34,567\",1,\"₹ 1,23,456.78\"", "INR", 1234567, 12345678},
		{"decimal comma", "ad_id;impressions;clicks;spend\na;1.234;1;1.234,5", "EUR", 1234, 123450},
		{"decimal comma among quotes", "ad_id,impressions,clicks,spend\na,1.234,1,\"1.234,5\"", "EUR", 1234, 123450},
		{"a semicolon file, and nothing else to tell", "ad_id;impressions;clicks;spend\na;1;1;1.234", "EUR", 1, 123400},
		{"a semicolon file with points", "ad_id;impressions;clicks;spend\na;1000;1;1234.56", "EUR", 1000, 123456},
		{"Swiss", "ad_id;impressions;clicks;spend\na;1'234;1;CHF 1’234.50", "CHF", 1234, 123450},
		{"spaces", "ad_id;impressions;clicks;spend\na;1\u00a0234;1;1\u202f234,50 €", "EUR", 1234, 123450},
		{"tabs", "ad_id\timpressions\tclicks\tspend\na\t1,234\t1\t$1,234.50", "USD", 1234, 123450},
		{"yen has no decimals", "ad_id,impressions,clicks,spend\na,5,1,¥1234.5", "JPY", 5, 1235},
		{"dinar has three", "ad_id,impressions,clicks,spend\na,5,1,1.2345", "KWD", 5, 1235},
		{"code behind", "ad_id,impressions,clicks,spend\na,5.0,1,12.30 usd", "USD", 5, 1230},
		{"a program's small float", "ad_id,impressions,clicks,spend\na,5,1,4e-03", "USD", 5, 0},
		{"Excel's hint", "sep=;\nad_id;impressions;clicks;spend\na;5;1;2,5", "USD", 5, 250},
		{"currency in the header's name", "ad_id,impressions,clicks,spend_usd\na,5,1,.5", "USD", 5, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows, rejected, _ := readAll(t, tt.file, terms(tt.currency))
			if len(rows) != 1 || rows[0].Impressions != tt.impressions || rows[0].Spend != tt.spend {
				t.Errorf("got %+v %q, want %d and %d", rows, rejected, tt.impressions, tt.spend)
			}
		})
	}
}

func TestANumberWrittenUnlikeTheOthersIsNotGuessed(t *testing.T) {
	t.Parallel()
	_, rejected, _ := readAll(t, "ad_id,impressions,clicks,spend\na,1,1,1.25\nb,1,1,\"12,5\"\nc,1,1,1.2.3", terms("USD"))
	want := []string{
		"3 spend: is not written like 1,234.56, as the rest of the file is",
		"4 spend: is not written like 1,234.56, as the rest of the file is",
	}
	if diff := cmp.Diff(want, rejected); diff != "" {
		t.Error(diff)
	}
}

func TestDatesAreReadWhereTheFileSaysHow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ cells, want string }{
		{"2026-11-02|2026/11/03|20261104|Nov 5, 2026|6 November 2026|07.11.2026|2026-11-08T10:00:00+01:00", "2026-11-02 2026-11-03 2026-11-04 2026-11-05 2026-11-06 2026-11-07 2026-11-08"},
		{"02/11/2026|22/11/2026", "2026-11-02 2026-11-22"},
		{"11/02/2026|11/21/2026 10:00 AM", "2026-11-02 2026-11-21"},
		{"11/11/2026|11/02/2026", "2026-11-11"},
		{"13/11/2026|11/13/2026|01/02/2026", "2026-11-13 2026-11-13"},
		{"31/02/2026|46348|yesterday", ""},
	} {
		file := "ad_id,day,impressions,clicks,spend\n"
		for i, cell := range strings.Split(tt.cells, "|") {
			file += fmt.Sprintf("a%d,%q,1,1,1\n", i, cell)
		}
		rows, _, _ := readAll(t, file, terms("USD"))
		var got []string
		for _, row := range rows {
			got = append(got, row.First.Format(time.DateOnly))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", tt.cells, diff)
		}
	}
}

func TestWhatExcelSavesIsRead(t *testing.T) {
	t.Parallel()
	const text = "ad_id;name;impressions;clicks;spend\r\n1;Café;10;1;2,50\r\n"
	utf16le, utf16be := []byte{0xFF, 0xFE}, []byte{0xFE, 0xFF}
	for _, u := range utf16.Encode([]rune(text)) {
		utf16le = binary.LittleEndian.AppendUint16(utf16le, u)
		utf16be = binary.BigEndian.AppendUint16(utf16be, u)
	}
	for name, file := range map[string]string{
		"UTF-8 with a mark": "\ufeff" + text, "UTF-16 little": string(utf16le), "UTF-16 big": string(utf16be),
		"Windows-1252": strings.ReplaceAll(text, "é", "\xe9"), "old Mac": strings.ReplaceAll(text, "\r\n", "\r"),
		"ids as formulas": strings.ReplaceAll(text, "\n1;", "\n\"=\"\"1\"\"\";"), "ids as floats": strings.ReplaceAll(text, "\n1;", "\n1.0;"),
	} {
		rows, rejected, _ := readAll(t, file, terms("EUR"))
		if len(rows) != 1 || rows[0].AdID != "1" || rows[0].Name != "Café" || rows[0].Spend != 250 {
			t.Errorf("%s: got %+v %q", name, rows, rejected)
		}
	}
}

func TestOneStrayQuoteCostsOneRow(t *testing.T) {
	simulation.Test(t)
	t.Parallel()
	file := "ad_id,name,impressions,clicks,spend\na,\"stray,1,1,1\n" + strings.Repeat("\n", 3) + "b,fine,1,1,1\nc,5\" screen,1,1,1\n"
	rows, rejected, _ := readAll(t, file, terms("USD"))
	if diff := cmp.Diff([]string{"2 : a quote opens in this line and is not closed"}, rejected); diff != "" || len(rows) != 2 || rows[1].Line != 7 {
		t.Errorf("rows %+v %s", rows, diff)
	}
	var big strings.Builder
	big.WriteString("ad_id,impressions,clicks,spend\na,\"1,1,1\n")
	for i := range 60_000 {
		fmt.Fprintf(&big, "b%d,1,1,1\n", i)
	}
	rows, rejected, _ = readAll(t, big.String(), terms("USD"))
	if len(rows) != 60_000 || len(rejected) != 1 || rows[59_999].Line != 60_002 {
		t.Errorf("%d rows, rejected %q", len(rows), rejected)
	}
}

func TestALineOfAMegabyteCostsOneRow(t *testing.T) {
	t.Parallel()
	file := "ad_id,impressions,clicks,spend\n" + strings.Repeat("x", 1<<20) + "\nb,1,1,1\n"
	rows, rejected, _ := readAll(t, file, terms("USD"))
	if len(rows) != 1 || rows[0].Line != 3 || len(rejected) != 1 || !strings.HasPrefix(rejected[0], "2 : the line is longer") {
		t.Errorf("rows %+v rejected %q", rows, rejected)
	}
}

func TestAFileThatIsNoReportSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ file, want string }{
		{"", "is empty"},
		{"\n\n", "is empty"},
		{"Ad name,Impressions,Results\nx,1,1", "has no column for ad_id (in Ads Manager: Ad ID, under Customise columns), clicks (Clicks (all) or Link clicks), spend (Amount spent). Its first line reads: Ad name, Impressions, Results"},
		{"PK\x03\x04rest", "is an Excel workbook"},
		{"\x1f\x8brest", "gzip"},
		{"ad_id,impressions,clicks,spend,Spend", "has two columns for spend (columns 4 and 5)"},
		{"ad_id,impressions,clicks,Spend (USD),Revenue (EUR)", "two currencies"},
	} {
		_, err := Open(strings.NewReader(tt.file))
		if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.file, err, tt.want)
		}
	}
	r, err := Open(strings.NewReader("ad_id,impressions,clicks,Amount spent (EUR)\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(terms("USD")); err == nil || !strings.Contains(err.Error(), "EUR") {
		t.Errorf("a file in another currency: %v", err)
	}
}

func TestASummaryRowIsOnlyOneAtTheTopOrBottom(t *testing.T) {
	t.Parallel()
	const head = "Ad ID,Ad name,Impressions,Clicks (all),Amount spent (USD)\n"
	rows, rejected, r := readAll(t, head+"1,a,5,1,1\n,,10,2,2\n2,b,5,1,1\n,,10,2,2\n\n", terms("USD"))
	if len(rows) != 2 || cmp.Diff([]string{"3 Ad ID: is empty"}, rejected) != "" || cmp.Diff([]int{5}, r.Skipped()) != "" {
		t.Errorf("rows %+v rejected %q skipped %v", rows, rejected, r.Skipped())
	}
	_, rejected, r = readAll(t, "ad_id,impressions,clicks,spend\n1,5,1,1\nTotal,5,1,1", terms("USD"))
	if len(rejected) != 0 || cmp.Diff([]int{3}, r.Skipped()) != "" {
		t.Errorf("rejected %q skipped %v", rejected, r.Skipped())
	}
}

func TestABreakdownSplitsAnAdOverRowsThatAreNoDuplicates(t *testing.T) {
	t.Parallel()
	rows, rejected, r := readAll(t, "Ad ID,Age,Day,Impressions,Clicks (all),Amount spent\n1,18-24,2026-11-01,5,1,1\n1,25-34,2026-11-01,5,1,1\n1,18-24,2026-11-01,5,1,1", terms("USD"))
	if len(rows) != 2 || len(rejected) != 0 || r.Repeats() != 1 || rows[0].Part == rows[1].Part {
		t.Errorf("rows %+v rejected %q", rows, rejected)
	}
}

func TestAgesBecomeCreationTimes(t *testing.T) {
	t.Parallel()
	rows, rejected, _ := readAll(t, "ad_id,impressions,clicks,spend,age_hours,created_at\na,1,1,1,36,\nb,1,1,1,,2026-11-01T10:00:00+02:00\nc,1,1,1,1e9,", terms("USD"))
	if len(rows) != 3 || !rows[0].CreatedAt.Equal(now.Add(-36*time.Hour)) || !rows[1].CreatedAt.Equal(time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)) || rows[2].CreatedAt != nil {
		t.Errorf("rows %+v rejected %q", rows, rejected)
	}
}

func FuzzReading(f *testing.F) {
	f.Add("ad_id,impressions,clicks,spend,day,creative_dna\n1,\"1,000\",5,$1.50,2026-11-20,\"{\"\"a\"\":1}\"\n")
	f.Add("\ufeffAd ID;Impressions;Clicks (all);Amount spent (EUR)\r\n;1;1;1\r\n1;1.000;1;1.000,5 €\r\n\"")
	f.Add("sep=;\nad_id|impressions|clicks|spend\na|1|1|1e-05")
	f.Add("\xff\xfea\x00d\x00")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Open(strings.NewReader(text))
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("an unexpected error: %v", err)
			}
			return
		}
		if r.Start(terms("USD")) != nil {
			return
		}
		line := 0
		for {
			row, err := r.Next()
			var bad *Rejected
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &bad):
				if bad.Line <= line || bad.Reason == "" {
					t.Fatalf("rejected %+v after line %d", bad, line)
				}
				line = bad.Line
				continue
			case err != nil:
				t.Fatal(err)
			}
			if row.Line <= line {
				t.Fatalf("line %d after %d", row.Line, line)
			}
			line = row.Line
			if row.AdID == "" || row.Impressions < 0 || row.Clicks < 0 || row.Clicks > row.Impressions || row.Spend < 0 || row.Spend > maxMoney {
				t.Fatalf("a row that breaks the rules: %+v", row)
			}
		}
	})
}
