package sweep

import (
	"fmt"
	"testing"
)

func TestAdsThatFallTogetherGiveTheirAccountOneAlarmAndNoCuts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fell, steady int
		last, kind   string
		by           string
	}{
		{8, 4, tires, ctrDown, "50"}, {6, 0, tires, ctrDown, "50"}, {2, 0, tires, ctrDown, "50"}, {6, 3, dear, cpmUp, "90"},
	} {
		w := open(t)
		w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://hooks.example', 'projects/p/secrets/w', 'test')`, tenantA)
		w.ads(tenantA, "act_1", "fell", c.fell, c.last)
		w.ads(tenantA, "act_1", "steady", c.steady, steady)
		w.ads(tenantA, "act_2", "other", 6, steady)
		name := fmt.Sprintf("%d of %d, %s", c.fell, c.fell+c.steady, c.kind)
		for _, size := range []int{batch, 5} { // 5: no batch holds the tenant
			r := run(t, w.all(size))
			if len(r.Alerts) != 1 || r.Alerts[0].Kind != c.kind || r.Alerts[0].Ads != c.fell || r.Alerts[0].AccountID != "act_1" || r.Alerts[0].Action == "" {
				t.Errorf("%s, batches of %d: %+v", name, size, r.Alerts)
			}
			if len(w.cut) > 0 {
				t.Errorf("%s, batches of %d: cut %v", name, size, w.cut)
			}
		}
		row := w.text(`SELECT concat_ws(' ', count(*), min(kind), min(since) = (now() AT TIME ZONE 'UTC')::date - 2, round(100 * min(fell_by)), bool_and(resolved_at IS NULL))
			FROM gv.account_alerts`)
		if row != "1 "+c.kind+" t "+c.by+" t" {
			t.Errorf("%s: the alarms are %s", name, row)
		}
		if n := w.text(`SELECT count(*)::text FROM gv.outbox WHERE convert_from(data, 'UTF8')::jsonb ->> 'kind' = 'account.alert'`); n != "1" {
			t.Errorf("%s: the webhook is sent %s alarms", name, n)
		}
		w.exec(`UPDATE gv.ad_metrics SET clicks = 800, spend_minor = 40000`)
		if r := run(t, w.all(batch)); len(r.Alerts) != 0 {
			t.Errorf("%s, recovered: %+v", name, r.Alerts)
		}
		if over := w.text(`SELECT (count(*) FILTER (WHERE resolved_at IS NOT NULL))::text FROM gv.account_alerts`); over != "1" {
			t.Errorf("%s, recovered: %s alarms are resolved", name, over)
		}
	}
}

func TestAnAccountOfTwoSaysWhichOfThemTires(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "tired", 1, tires)
	w.ads(tenantA, "act_1", "steady", 1, steady)
	w.ads(tenantB, "act_2", "alone", 1, tires)
	if r := run(t, w.all(batch)); fmt.Sprint(w.cut) != "[a/tired1 b/alone1]" || len(r.Alerts) > 0 {
		t.Errorf("cut %v, %+v", w.cut, r)
	}
}

func TestWhileFiguresSwingNothingIsCut(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "t", 4, tires)
	w.ads(tenantA, "act_1", "steady", 9, steady)
	w.exec(`INSERT INTO gv.ad_sets (tenant_id, adset_id, account_id, campaign_id, learning) VALUES ($1, 'set-t1', 'act_1', 'act_1', true)`, tenantA)
	changed := `INSERT INTO gv.ad_change_history (tenant_id, change_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, reason, initiator, at)
		VALUES ($1, $2, 'act_1', 'act_1', $3, 'adset/set-' || $3, 'budget', 'applied', 5000, 6000, 'x', 'x', now() - $4::interval)`
	change := `INSERT INTO gv.pending_ad_changes (change_id, tenant_id, request_key, account_id, campaign_id, ad_id, budget_object, kind, target_minor, reason, source, requested_by, status)
		VALUES ($2::text::uuid, $1, $2::text, 'act_1', 'act_1', $3, 'adset/set-' || $3, 'budget', 4000, 'x', 'fatigue', 'sweep', 'applied')`
	w.exec(changed, tenantA, nil, "t2", "2 days")
	w.exec(changed, tenantA, nil, "t3", "4 days")
	cut := "00000000-0000-4000-8000-0000000000c4"
	w.exec(change, tenantA, cut, "t4")
	w.exec(changed, tenantA, cut, "t4", "1 day") // our own cut follows the fall
	run(t, w.all(batch))
	if fmt.Sprint(w.cut) != "[a/t3 a/t4]" {
		t.Errorf("cut %v", w.cut)
	}
	if got := w.text(`SELECT string_agg(ad_id || ' ' || status, ', ' ORDER BY ad_id) FROM gv.ad_fatigue WHERE ad_id LIKE 't%'`); got != "t1 HEALTHY, t2 HEALTHY, t3 FATIGUING, t4 FATIGUING" {
		t.Error(got)
	}
	w.exec(`UPDATE gv.ad_sets SET learning = false`)
	run(t, w.all(batch))
	if fmt.Sprint(w.cut) != "[a/t3 a/t4 a/t1]" {
		t.Errorf("once it has learned: cut %v", w.cut)
	}
}
