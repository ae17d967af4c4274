package attribution_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// BenchmarkClick records clicks of strangers, as nearly all are, beside two thousand
// contacts and conversions, and says what each costs Postgres.
func BenchmarkClick(b *testing.B) {
	w := apitest.New(b)
	w.Exec(`
		WITH n AS (SELECT generate_series(1, 2000) AS n), c AS (
			INSERT INTO gv.contacts (tenant_id, portal_id, contact_id, converted_at) SELECT $1, 1, n, now() - interval '1 day' FROM n
		), k AS (
			INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value) SELECT $1, 1, n, 'fbclid', 'fb-' || n FROM n
		), d AS (
			INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state) SELECT $1, 1, n, 'live' FROM n
		), dc AS (
			INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position) SELECT $1, 1, n, n, 0 FROM n
		)
		INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until, fbclid, method, confidence, reason)
		SELECT $1, 'v' || n, 'lead', 0, now() - interval '1 day', now() - interval '1 day', 'fb-' || n, 'unattributed', 0, 'none' FROM n`, apitest.Tenant)
	n := 0
	click := func() {
		n++
		err := pg.InTenant(context.Background(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
			c := attribution.Click{
				ClickID: fmt.Sprintf("c%d", n), AdID: "a1", ClickedAt: time.Now(), IP: "192.0.2.1", UserAgent: fmt.Sprintf("agent %d", n),
				FingerprintHash: fmt.Sprintf("print%d", n),
			}
			c.FBCLID = fmt.Sprintf("new-%d", n)
			_, _, err := attribution.NewStore(tx).RecordAndCredit(context.Background(), c)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	click()
	before := w.CPU()
	b.ResetTimer()
	for range b.N {
		click()
	}
	b.ReportMetric(float64((w.CPU()-before).Microseconds())/float64(b.N)/1000, "pg-ms/click")
}
