package campaigns_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

// randomReport makes a header and rows whose keys differ: days and periods that
// overlap, with a breakdown or without, or totals to date.
func randomReport(r *rand.Rand, prefix string) (header string, rows []string) {
	dated, split := r.IntN(4) > 0, r.IntN(2) == 0
	header = "ad_id,campaign_id,name,status,daily_budget,impressions,clicks,spend,conversions,revenue"
	if dated {
		header += ",reporting_starts,reporting_ends"
	}
	if split {
		header += ",Age,Headline"
	}
	seen := map[string]bool{}
	for range 5 + r.IntN(25) {
		ad, first, length := r.IntN(3), r.IntN(12), 1+r.IntN(4)*r.IntN(3)
		last := first + length - 1
		key := fmt.Sprintf("%d", ad)
		if dated {
			day := func(n int) string { return time.Date(2026, 10, 1+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) }
			key += "," + day(first) + "," + day(last)
		} else {
			last = 0
		}
		if split {
			key += fmt.Sprintf(",%d-%d,%q", 18+10*r.IntN(3), 27, []string{"", "Now", "1,000", "Later"}[r.IntN(3)])
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		rest := strings.TrimPrefix(key, fmt.Sprint(ad))
		impressions := r.IntN(1000)
		row := fmt.Sprintf("%s%d,c%d,Name %d,%s,%d,%d,%d,%d.%02d,%d,%s%s", prefix, ad, ad, last, []string{"ACTIVE", "PAUSED"}[last%2], 10+last,
			impressions, r.IntN(impressions+1), r.IntN(50), r.IntN(100), r.IntN(3), []string{"", "7.5"}[r.IntN(2)], rest)
		rows = append(rows, row)
		if r.IntN(6) == 0 {
			rows = append(rows, row)
		}
	}
	return header, rows
}

// state is all that an import writes of the ads whose ids begin with prefix.
func (w world) state(tenant, prefix string) string {
	w.T.Helper()
	return w.Text(`
		SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
			SELECT concat_ws(' ', 'ad', ad_id, name, status, campaign_id, daily_budget_minor, budget_on, impressions, clicks, spend_minor, pipeline_minor,
			                 assumed_minor, revenue_minor, value_source, is_winner, CASE WHEN described_on < '2026-11-01' THEN created_at::date END) AS line
			FROM   gv.ads WHERE tenant_id = $1 AND ad_id LIKE $2
			UNION ALL
			SELECT concat_ws(' ', 'day', ad_id, day, impressions, clicks, spend_minor, conversions, value_minor, revenue_minor, imported) FROM gv.ad_metrics WHERE tenant_id = $1 AND ad_id LIKE $2
			UNION ALL
			SELECT concat_ws(' ', 'period', ad_id, first_day, last_day, impressions, clicks, spend_minor, conversions, pipeline_minor, revenue_minor, counted) FROM gv.ad_periods WHERE tenant_id = $1 AND ad_id LIKE $2
			UNION ALL
			SELECT concat_ws(' ', 'totals', ad_id, impressions, clicks, spend_minor, conversions, pipeline_minor, revenue_minor) FROM gv.ad_figures WHERE tenant_id = $1 AND ad_id LIKE $2
			UNION ALL
			SELECT concat_ws(' ', 'part', ad_id, first_day, last_day, part, impressions, clicks, spend_minor, conversions, pipeline_minor, revenue_minor) FROM gv.report_parts WHERE tenant_id = $1 AND ad_id LIKE $2
		) AS lines`, tenant, prefix+"%")
}

func TestAnImportDoesNotDependOnHowItsRowsAreCutOrOrdered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.account(apitest.Other, "acc", "USD")
	send := func(token, header string, rows []string) {
		t.Helper()
		body, kind := form(t, "file", header+"\n"+strings.Join(rows, "\n")+"\n")
		if a := w.Call(w.handler, "POST", "/api/ads/import?conversion_value=3", token, body, "Content-Type", kind); a.Status != http.StatusOK || a.JSON(t)["rejected"] != 0.0 {
			t.Fatalf("%d %s\n%s", a.Status, a.Body, body)
		}
	}
	editor, other := w.Token(auth.Editor), w.OtherToken()
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 41))
		prefix := fmt.Sprintf("s%d-", seed)
		header, rows := randomReport(r, prefix)
		send(editor, header, rows)
		want := w.state(apitest.Tenant, prefix)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for from := 0; from < len(rows); {
			to := min(len(rows), from+1+r.IntN(10))
			send(other, header, rows[from:to])
			from = to
		}
		if diff := cmp.Diff(want, w.state(apitest.Other, prefix)); diff != "" {
			t.Fatalf("seed %d: cut into files and in another order (-one file, +cut):\n%s", seed, diff)
		}
	}
}
