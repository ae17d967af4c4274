package fatigue_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/fatigue"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

const path = "/api/ml/fatigue/check"

type world struct {
	*apitest.World
	handler http.Handler
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := apitest.New(t)
	return world{w, fatigue.New(w.App, w.Access(), w.Queue, nil)}
}

// check asks about an ad as a viewer.
func (w world) check(ad string, days []string) apitest.Answer {
	w.T.Helper()
	body := fmt.Sprintf(`{"ad_id": %q, "metrics_history": [%s]}`, ad, strings.Join(days, ", "))
	return w.Call(w.handler, "POST", path, w.Token(auth.Viewer), body)
}

// day is a day of March; 0 is one without a date.
func day(date int, ctr, cpm float64) string {
	text := fmt.Sprintf(`{"ctr": %v, "frequency": 1.4, "cpm": %v, "impressions": 40000}`, ctr, cpm)
	if date > 0 {
		text = fmt.Sprintf(`{"date": "2026-03-%02d", `, date) + text[1:]
	}
	return text
}

// tenDays is ten days at a CTR of 2% and a CPM of 10, the last two of them as given.
func tenDays(dated bool, ctr, cpm float64) []string {
	var days []string
	for i := range 10 {
		date := 0
		if dated {
			date = i + 1
		}
		if i < 8 {
			days = append(days, day(date, 0.02, 10))
		} else {
			days = append(days, day(date, ctr, cpm))
		}
	}
	return days
}

func TestAnAdThatIsNotStoredIsJudgedFromTheRequestAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		ctr, cpm float64
		status   string
		says     string
	}{
		{0.02, 10, "HEALTHY", "Steady: CTR 2.00% against 2.00% before, CPM 10.00 against 10.00, frequency 1.40; no rule holds."},
		{0.012, 10, "FATIGUING", "CTR down 40%: 1.20% on the newest day (480 clicks of 40,000)"},
		{0.02, 18, "AUDIENCE_EXHAUSTED", "CPM up 80%: 18.00 on the newest day against 10.00 before"},
	} {
		for _, dated := range []bool{true, false} {
			a := w.check("unknown", tenDays(dated, c.ctr, c.cpm))
			got := a.JSON(t)
			if a.Status != 200 || got["status"] != c.status || !strings.Contains(a.Body, c.says) || got["ad_id"] != "unknown" || got["compared_with_account"] != false {
				t.Errorf("ctr %v, cpm %v: %d %s", c.ctr, c.cpm, a.Status, a.Body)
			}
			if p, _ := got["confidence"].(float64); p <= 0.5 || p > 1 {
				t.Errorf("ctr %v, cpm %v: confidence %v", c.ctr, c.cpm, got["confidence"])
			}
			days, there := got["days_until_critical"]
			if want := any(nil); !there || c.status == "HEALTHY" && days != want || c.status != "HEALTHY" && days != 0.0 {
				t.Errorf("ctr %v, cpm %v: days until critical %v", c.ctr, c.cpm, days)
			}
			if strings.Contains(strings.ReplaceAll(a.Body, `"days_until_critical":null`, ""), "null") {
				t.Errorf("ctr %v, cpm %v: %s", c.ctr, c.cpm, a.Body)
			}
		}
	}
}

func TestATrendSaysHowManyDaysAreLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var days []string
	for i := range 8 {
		days = append(days, day(i+1, 0.02-0.0004*float64(i), 10))
	}
	a := w.check("a1", days)
	got := a.JSON(t)
	left, _ := got["days_until_critical"].(float64)
	between, _ := got["critical_range"].(map[string]any)
	if a.Status != 200 || got["status"] != "HEALTHY" || left < 2 || left > 12 || between == nil || between["soonest"].(float64) > left || between["longest"].(float64) < left {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestTooLittleIsSaidToBeTooLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	few := `{"ctr": 0.5, "frequency": 9, "cpm": 90, "impressions": 40}`
	for _, days := range [][]string{nil, {day(1, 0.02, 10)}, {day(1, 0.02, 10), day(2, 0.001, 90)}, {few, few, few, few}} {
		a := w.check("a1", days)
		got := a.JSON(t)
		if a.Status != 200 || got["status"] != "INSUFFICIENT_DATA" || got["confidence"] != 0.0 || got["reason"] == "" || !strings.Contains(a.Body, `"signals":[]`) || !strings.Contains(a.Body, `"confounders":[]`) {
			t.Errorf("%d days: %d %s", len(days), a.Status, a.Body)
		}
	}
}

// store puts ads of an account into the database with ten days of March each, of
// which the last two have the CPM given, in units.
func (w world) store(tenant, account string, cpm float64, ads ...string) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, $2)`, tenant, account)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2)`, tenant, account)
	for _, ad := range ads {
		w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, $3, $3)`, tenant, ad, account)
		w.Exec(`
			INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
			SELECT $1, $2, '2026-03-01'::date + i, 20000, 300, 20 * 100 * CASE WHEN i < 8 THEN 8 ELSE $3::float8 END
			FROM   generate_series(0, 9) i`, tenant, ad, cpm)
	}
}

func TestAStoredAdIsNotBlamedForItsAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(apitest.Tenant, "act_dear", 15, "d1", "d2", "d3", "d4")
	w.store(apitest.Tenant, "act_calm", 8, "c1", "c2", "c3", "c4")
	w.store(apitest.Tenant, "act_alone", 15, "e1", "e2")
	w.store(apitest.Other, "act_other", 15, "o1", "o2", "o3", "o4")
	for _, c := range []struct {
		ad       string
		dated    bool
		status   string
		compared bool
	}{
		{"d1", true, "HEALTHY", true},
		{"d1", false, "AUDIENCE_EXHAUSTED", false}, // nobody knows which days
		{"c1", true, "AUDIENCE_EXHAUSTED", true},
		{"e1", true, "HEALTHY", true},             // the one other ad says what the account did
		{"o1", true, "AUDIENCE_EXHAUSTED", false}, // another tenant's ad is as unknown as any
		{"new", true, "AUDIENCE_EXHAUSTED", false},
	} {
		a := w.check(c.ad, tenDays(c.dated, 0.02, 18))
		if got := a.JSON(t); a.Status != 200 || got["status"] != c.status || got["compared_with_account"] != c.compared {
			t.Errorf("%s, dated %v: %d %s", c.ad, c.dated, a.Status, a.Body)
		}
	}
	if a := w.check("d1", tenDays(true, 0.02, 18)); !strings.Contains(a.Body, "The account's other ads moved alike on the same days") {
		t.Errorf("the account's shift is not named: %s", a.Body)
	}
	if got := w.Text(`SELECT count(*) FROM gv.ad_fatigue`); got != "0" {
		t.Errorf("a check changed %s ads", got)
	}
}

func TestWhatIsKnownOfAStoredAdExplainsItsFall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(apitest.Tenant, "act_calm", 10, "learns", "moved", "cut", "c4", "c5", "c6")
	w.Exec(`UPDATE gv.ads SET adset_id = 's-' || ad_id`)
	w.Exec(`INSERT INTO gv.ad_sets (tenant_id, adset_id, account_id, campaign_id, learning) VALUES ($1, 's-learns', 'act_calm', 'act_calm', true)`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.pending_ad_changes (change_id, tenant_id, request_key, account_id, campaign_id, ad_id, budget_object, kind, target_minor, reason, source, requested_by, status)
		VALUES ('00000000-0000-4000-8000-0000000000c4', $1, 'k', 'act_calm', 'act_calm', 'cut', 'adset/s-cut', 'budget', 80, 'x', 'fatigue', 'sweep', 'applied')`, apitest.Tenant)
	change := `INSERT INTO gv.ad_change_history (tenant_id, change_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, reason, initiator, at)
		VALUES ($1, $2, 'act_calm', 'act_calm', $3, 'adset/s-' || $3, 'budget', 'applied', 100, 80, 'r', 'm', $4::timestamptz)`
	w.Exec(change, apitest.Tenant, nil, "c4", "2026-03-02")
	w.Exec(change, apitest.Tenant, nil, "moved", "2026-03-08")
	w.Exec(change, apitest.Tenant, "00000000-0000-4000-8000-0000000000c4", "cut", "2026-03-09")
	for ad, c := range map[string]struct{ status, says string }{
		"learns": {"HEALTHY", "still learning how to deliver"},
		"moved":  {"HEALTHY", "Its budget was changed within the last 3 days"},
		"cut":    {"FATIGUING", "CTR down 60%"}, // a fatigue cut follows the fall
		"c4":     {"FATIGUING", "its budget was changed once in these days, last on 2026-03-02"},
		"c5":     {"FATIGUING", "CTR down 60%"},
	} {
		a := w.check(ad, tenDays(true, 0.008, 10))
		if got := a.JSON(t); a.Status != 200 || got["status"] != c.status || !strings.Contains(a.Body, c.says) {
			t.Errorf("%s: %d %s", ad, a.Status, a.Body)
		}
	}
}

func TestTheRequestSaysWhatElseIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	days := strings.Join(tenDays(true, 0.012, 18), ", ")
	var account []string
	for i := range 10 {
		ctr, cpm := 0.03, 8.0
		if i >= 8 {
			ctr, cpm = 0.018, 14.5
		}
		account = append(account, fmt.Sprintf(`{"date": "2026-03-%02d", "ctr": %v, "cpm": %v}`, i+1, ctr, cpm))
	}
	calm := strings.ReplaceAll(strings.ReplaceAll(strings.Join(account, ", "), "0.018", "0.03"), "14.5", "8")
	for _, c := range []struct{ more, status, explained string }{
		{``, "AUDIENCE_EXHAUSTED", ""},
		{`, "account_history": [` + strings.Join(account, ", ") + `]`, "HEALTHY", "account"},
		{`, "account_history": [` + calm + `]`, "AUDIENCE_EXHAUSTED", ""},
		{`, "account_history": []`, "AUDIENCE_EXHAUSTED", ""},
		{`, "learning_phase": true`, "HEALTHY", "learning"},
		{`, "learning_phase": false`, "AUDIENCE_EXHAUSTED", ""},
		{`, "budget_changed_on": ["2026-02-01", "2026-03-08"]`, "HEALTHY", "budget"},
		{`, "budget_changed_on": ["2026-03-05"]`, "AUDIENCE_EXHAUSTED", ""},
	} {
		a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), `{"ad_id": "unknown", "metrics_history": [`+days+`]`+c.more+`}`)
		explained := strings.Contains(a.Body, `"explained_by":"`+c.explained)
		if a.Status != 200 || a.JSON(t)["status"] != c.status || explained != (c.explained != "") {
			t.Errorf("%s: %d %s", c.more, a.Status, a.Body)
		}
	}
	undated := strings.Join(tenDays(false, 0.012, 18), ", ")
	for more, field := range map[string]string{
		`, "account_history": [{"date": "2026-03-01", "ctr": 2, "cpm": 8}]`:                                                 "body.account_history[0].ctr",
		`, "account_history": [{"date": "soon", "ctr": 0.2, "cpm": 8}]`:                                                     "body.account_history[0].date",
		`, "account_history": [{"date": "2026-03-01", "ctr": 0.2, "cpm": 8}, {"date": "2026-03-01", "ctr": 0.2, "cpm": 8}]`: "body.account_history[1].date",
		`, "budget_changed_on": ["2026-03-01", "soon"]`:                                                                     "body.budget_changed_on[1]",
		`, "learning_phase": "yes"`: "body.learning_phase",
	} {
		if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), `{"ad_id": "unknown", "metrics_history": [`+days+`]`+more+`}`); a.Status != 422 || !a.Names(field) {
			t.Errorf("%s: %d %s", more, a.Status, a.Body)
		}
	}
	for _, more := range []string{`, "account_history": [` + calm + `]`, `, "budget_changed_on": ["2026-03-08"]`} {
		if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), `{"ad_id": "unknown", "metrics_history": [`+undated+`]`+more+`}`); a.Status != 422 {
			t.Errorf("without dates, %.30s: %d %s", more, a.Status, a.Body)
		}
	}
}

func TestBadInputIsRefusedByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := day(0, 0.02, 10)
	swap := func(field, value string) string {
		at := strings.Index(good, `"`+field+`": `) + len(field) + 4
		end := at + strings.IndexAny(good[at:], ",}")
		return good[:at] + value + good[end:]
	}
	for _, c := range []struct {
		day, field string
	}{
		{swap("ctr", "1.01"), "ctr"},
		{swap("ctr", "-0.01"), "ctr"},
		{swap("ctr", `"2%"`), "ctr"},
		{swap("ctr", "null"), "ctr"},
		{swap("frequency", "-1"), "frequency"},
		{swap("cpm", "-0.5"), "cpm"},
		{swap("cpm", "1e300"), "cpm"},
		{swap("impressions", "-1"), "impressions"},
		{swap("impressions", "10.5"), "impressions"},
		{swap("impressions", "1e15"), "impressions"},
		{`{"date": "yesterday", ` + good[1:], "date"},
		{`{"date": "2026-02-30", ` + good[1:], "date"},
		{`{"clicks": 5, ` + good[1:], "clicks"},
	} {
		if a := w.check("a1", []string{good, c.day}); a.Status != 422 || !a.Names("body.metrics_history[1]."+c.field) {
			t.Errorf("%s: %d %s, want 422 naming %s", c.day, a.Status, a.Body, c.field)
		}
	}
	for _, c := range []struct{ body, field string }{
		{`{"metrics_history": []}`, "body.ad_id"},
		{`{"ad_id": " ", "metrics_history": []}`, "body.ad_id"},
		{`{"ad_id": "a1"}`, "body.metrics_history"},
		{`{"ad_id": "a1", "metrics_history": null}`, "body.metrics_history"},
		{`{"ad_id": "a1", "metrics_history": [{"ctr": 0.1}]}`, "body.metrics_history[0].impressions"},
		{`{"ad_id": "a1", "metrics_history": [], "surprise": 1}`, "body.surprise"},
		{`{"ad_id": "a1", "metrics_history": [` + strings.Repeat(good+",", 400) + good + `]}`, "body.metrics_history"},
	} {
		if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), c.body); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("%.80s: %d %s, want 422 naming %s", c.body, a.Status, a.Body, c.field)
		}
	}
	if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), `{"ad_id": "a1", "metrics_history": [{"ctr": NaN}]}`); a.Status != 422 || !a.Names("body.metrics_history[0].ctr") {
		t.Errorf("NaN: %d %s", a.Status, a.Body)
	}
}

func TestDatesOutOfOrderOrTwiceAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		dates []int
		field string
	}{
		{[]int{1, 3, 2}, "body.metrics_history[2].date"},
		{[]int{1, 1, 2}, "body.metrics_history[1].date"},
		{[]int{3, 0, 2, 4}, "body.metrics_history[2].date"},
	} {
		var days []string
		for _, d := range c.dates {
			days = append(days, day(d, 0.02, 10))
		}
		if a := w.check("a1", days); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("%v: %d %s, want 422 naming %s", c.dates, a.Status, a.Body, c.field)
		}
	}
	if a := w.check("a1", []string{day(1, 0.02, 10), day(0, 0.02, 10), day(9, 0.02, 10)}); a.Status != 200 {
		t.Errorf("gaps and a day without a date: %d %s", a.Status, a.Body)
	}
}

func TestOnlyMembersMayAskAndADatabaseThatIsDownIs503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"ad_id": "a1", "metrics_history": [` + day(1, 0.02, 10) + `]}`
	if a := w.Call(w.handler, "POST", path, "", body); a.Status != 401 {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	if a := w.Call(w.handler, "GET", path, w.Token(auth.Viewer), nil); a.Status != 405 {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
	if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), body[:40]); a.Status != 400 {
		t.Errorf("half a body: %d %s", a.Status, a.Body)
	}
	w.App.Close()
	if a := w.Call(w.handler, "POST", path, w.Token(auth.Viewer), body); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d %s", a.Status, a.Body)
	}
}
