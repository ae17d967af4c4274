package campaigns_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
)

// dataset is a file like a public data set of Facebook ads, with its number of
// rows and the sum of its spend in cents.
func dataset() (file string, rows int, cents int64) {
	var b strings.Builder
	b.WriteString("ad_id,xyz_campaign_id,fb_campaign_id,age,gender,interest,Impressions,Clicks,Spent,Total_Conversion,Approved_Conversion\r\n")
	for i := range 500 {
		fmt.Fprintf(&b, "%d,%d,%d,30-34,M,%d,%d,%d,%d.%09d,%d,%d\r\n", 708_746+i, 916+20*(i%2), 103_916+i, i%60, 1000+i*37, i%30, i%90, 429_999_948+i*100_003, 1+i%3, i%2)
	}
	file = b.String()
	for _, line := range strings.Split(strings.TrimSpace(file), "\n")[1:] {
		var units, fraction int64
		whole, rest, _ := strings.Cut(strings.Split(line, ",")[8], ".")
		_, _ = fmt.Sscan(whole, &units)
		_, _ = fmt.Sscan("1"+(rest + "000")[:3], &fraction)
		rows, cents = rows+1, cents+units*100+(fraction-1000+5)/10
	}
	return file, rows, cents
}

func TestTheConversionDataSetIsImportedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	file, rows, cents := dataset()
	got := w.imported(w.upload("?conversion_value=100", file))
	if want := fmt.Sprintf("rows %d imported %d updated 0 unchanged 0 rejected 0", rows, rows); got.counts() != want || got.NewCampaigns != 2 {
		t.Errorf("%s, %d campaigns, %v; want %s", got.counts(), got.NewCampaigns, got.Errors, want)
	}
	if got := w.Text(`SELECT sum(spend_minor)::text FROM gv.ads`); got != fmt.Sprint(cents) {
		t.Errorf("spend %s, want %d", got, cents)
	}
	if got := w.Text(`SELECT count(*) FROM gv.ads a JOIN gv.ad_figures f USING (tenant_id, ad_id) WHERE a.pipeline_minor <> f.conversions * 10000 OR a.revenue_minor > 0 OR a.is_winner`); got != "0" {
		t.Errorf("%s ads are not worth their approved conversions, or count them as revenue", got)
	}
	t.Logf("%s %s", got.counts(), w.get("/api/campaigns").Body)
}
