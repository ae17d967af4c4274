package execute_test

import "testing"

func TestATenantsWebhookIsSentCutsHoldsAndFailures(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://hooks.example', 'projects/p/secrets/w', 'test')`, tenant)
	for _, id := range []string{"11", "12", "13", "14"} {
		w.ad(tenant, "act_1", id, 10_000)
	}
	w.queue(tenant, cut("11"), cut("12"), cut("13"), to("14", 11_000))
	budget := int64(50_000)
	w.fake.Edit("512", &budget, "")
	w.fake.Erase("513")
	w.run()
	for kind, want := range map[string]string{
		"change.queued": "4", "change.cut": "1", "change.applied": "1", "change.held": "1", "change.failed": "1",
	} {
		n := w.text(`SELECT count(*) FROM gv.outbox WHERE tenant_id = $1 AND topic = 'tenant-notices' AND convert_from(data, 'UTF8')::jsonb ->> 'kind' = $2`, tenant, kind)
		if n != want {
			t.Errorf("%s notices of %s, want %s", n, kind, want)
		}
	}
	text := w.text(`SELECT convert_from(data, 'UTF8')::jsonb ->> 'text' FROM gv.outbox WHERE convert_from(data, 'UTF8')::jsonb ->> 'kind' = 'change.held'`)
	if !matches(text, "ad set 512 held: somebody else changed ad set 512", "it has 500.00 USD, and 100.00 USD was known") {
		t.Error(text)
	}
}
