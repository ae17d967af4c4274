package sweep

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

// world is a database with two tenants, and what was asked for tired ads.
type world struct {
	t      *testing.T
	app    *pg.DB
	worker *pg.Worker
	admin  *pgxpool.Pool

	mu   sync.Mutex
	cut  []string
	fail func(tenant string) error
	why  func(ad string) string // why there is no cut
}

func open(t *testing.T) *world {
	t.Helper()
	made := pgtest.New(t)
	w := &world{t: t, admin: made.Admin(t)}
	var err error
	if w.app, err = pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 2}); err != nil {
		t.Fatal(err)
	}
	if w.worker, err = pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.app.Close(); w.worker.Close() })
	for _, tenant := range []string{tenantA, tenantB} {
		w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1::uuid, $1::text)`, tenant)
	}
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) text(sql string, args ...any) string {
	w.t.Helper()
	var v string
	if err := w.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// What an ad's last days are like.
const (
	steady = "1, 1"
	tires  = "0.5, 1"
	dear   = "1, 1.9"
)

// ads makes n active ads of an account with ten days up to yesterday, of which the
// last two have the CTR and the CPM times those.
func (w *world) ads(tenant, account, prefix string, n int, last string) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, tenant, account)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING`, tenant, account)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor)
		SELECT $1, $3::text || i, $2, $2, 'set-' || $3::text || i, 5000 FROM generate_series(1, $4::int) i`, tenant, account, prefix, n)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT $1, $2::text || i, (now() AT TIME ZONE 'UTC')::date - d, 40000,
		       800 * CASE WHEN d <= 2 THEN f.ctr ELSE 1 END, 40000 * CASE WHEN d <= 2 THEN f.cpm ELSE 1 END
		FROM   generate_series(1, $3::int) i, generate_series(1, 10) d, (SELECT `+last+`) AS f (ctr, cpm)`, tenant, prefix, n)
}

// remedy keeps whose budget was cut.
func (w *world) remedy() Remedy {
	act := func(keep bool) func(context.Context, pgx.Tx, string, string, []Tired) ([]Outcome, error) {
		return func(_ context.Context, _ pgx.Tx, tenant, _ string, ads []Tired) ([]Outcome, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fail != nil {
				if err := w.fail(tenant); err != nil {
					return nil, err
				}
			}
			out := make([]Outcome, len(ads))
			for i, a := range ads {
				out[i] = Outcome{ID: uuid.NewString(), Status: "pending"}
				if !keep {
					continue
				}
				if w.why != nil && w.why(a.AdID) != "" {
					out[i] = Outcome{Reason: w.why(a.AdID)}
					continue
				}
				w.cut = append(w.cut, tenant[len(tenant)-1:]+"/"+a.AdID)
			}
			return out, nil
		}
	}
	return Remedy{Cut: act(true), Refresh: act(false)}
}

func (w *world) all(batch int) *Sweep {
	s := All(w.worker, w.remedy())
	s.batch = batch
	return s
}

func run(t *testing.T, s *Sweep) Report {
	t.Helper()
	r, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}
