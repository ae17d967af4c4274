package director_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tiredTenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	otherTenant = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

type tired struct {
	app    *pg.DB
	worker *pg.Worker
	admin  *pgxpool.Pool
}

func openTired(t *testing.T) tired {
	t.Helper()
	made := pgtest.New(t)
	app, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close(); worker.Close() })
	w := tired{app, worker, made.Admin(t)}
	for _, tenant := range []string{tiredTenant, otherTenant} {
		w.exec(t, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'T')`, tenant)
		w.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, tenant)
		w.exec(t, `INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
	}
	w.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) SELECT $1, 'ad-' || i, 'act_1', 'c1' FROM generate_series(1, 3) i`, tiredTenant)
	w.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'theirs', 'act_1', 'c1')`, otherTenant)
	return w
}

func (w tired) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func ask(ads ...director.AdReason) func(pgx.Tx) ([]director.Requested, error) {
	return func(tx pgx.Tx) ([]director.Requested, error) {
		return director.RequestRefreshes(context.Background(), tx, tiredTenant, "sweep", ads)
	}
}

func (w tired) tenant(t *testing.T, fn func(pgx.Tx) ([]director.Requested, error)) (got []director.Requested) {
	t.Helper()
	err := pg.InTenant(context.Background(), w.app, tiredTenant, func(tx pgx.Tx) (err error) { got, err = fn(tx); return err })
	if err != nil {
		t.Error(err)
	}
	return got
}

func TestAnAdHasOneOpenRefreshAndRestsAfterIt(t *testing.T) {
	t.Parallel()
	w := openTired(t)
	first := w.tenant(t, ask(director.AdReason{AdID: "ad-2", Reason: "r2"}, director.AdReason{AdID: "ad-1", Reason: "r1"}, director.AdReason{AdID: "theirs", Reason: "r"}))
	if len(first) != 3 || first[0].AdID != "ad-2" || !first[0].New || !first[1].New || first[2].New || first[2].RefreshID != "" || first[2].Reason != "there is no such ad" {
		t.Fatalf("%+v", first)
	}
	again := w.tenant(t, ask(director.AdReason{AdID: "ad-1", Reason: "r1", Again: true}, director.AdReason{AdID: "ad-3", Reason: "r3"}))
	if again[0].New || again[0].RefreshID != first[1].RefreshID || again[0].Status != "queued" || again[0].Reason != "a refresh is under way already" || !again[1].New {
		t.Errorf("%+v", again)
	}
	w.exec(t, `UPDATE gv.refreshes SET status = CASE ad_id WHEN 'ad-1' THEN 'planned' WHEN 'ad-2' THEN 'failed' ELSE status END`)
	rested := w.tenant(t, ask(director.AdReason{AdID: "ad-1"}, director.AdReason{AdID: "ad-2", Reason: "r"}))
	if rested[0].New || rested[0].Reason != "its creative was refreshed less than 7 days ago" || !rested[1].New {
		t.Errorf("%+v", rested)
	}
	if member := w.tenant(t, ask(director.AdReason{AdID: "ad-1", Reason: "now", Again: true})); !member[0].New {
		t.Errorf("who insists: %+v", member)
	}
	w.exec(t, `UPDATE gv.refreshes SET status = 'planned', requested_at = now() - interval '7 days 1 second'`)
	if late := w.tenant(t, ask(director.AdReason{AdID: "ad-1", Reason: "again"})); !late[0].New {
		t.Errorf("after its rest: %+v", late)
	}
	var topics int
	if err := w.admin.QueryRow(t.Context(), `SELECT count(*) FROM gv.outbox o JOIN gv.refreshes r ON convert_from(o.data, 'UTF8')::jsonb->>'refresh_id' = r.refresh_id::text
		AND o.topic = $1 AND o.tenant_id = r.tenant_id`, director.RefreshTopic).Scan(&topics); err != nil || topics != 6 {
		t.Errorf("%d messages for 6 requests (%v)", topics, err)
	}
}

func TestTwinRequestsAcrossTenantsMakeOneRefresh(t *testing.T) {
	t.Parallel()
	w := openTired(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	var made []bool
	for i := range 6 {
		group.Go(func() {
			var got []director.Requested
			fn := func(tx pgx.Tx) (err error) {
				got, err = ask(director.AdReason{AdID: "ad-1", Reason: "r"})(tx)
				return err
			}
			var err error
			if i%2 == 0 {
				err = pg.Across(context.Background(), w.worker, fn)
			} else {
				err = pg.InTenant(context.Background(), w.app, tiredTenant, fn)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			made = append(made, got[0].New)
		})
	}
	group.Wait()
	if n := len(slices.DeleteFunc(made, func(n bool) bool { return !n })); n != 1 {
		t.Errorf("%d refreshes were made", n)
	}
}

func TestAnAdsRequestsAreFoundWithoutReadingAllOthers(t *testing.T) {
	t.Parallel()
	w := openTired(t)
	w.exec(t, `INSERT INTO gv.refreshes (tenant_id, ad_id, reason, status, requested_by, requested_at)
		SELECT $1, 'ad-' || i, 'tired', 'planned', 'sweep', now() - make_interval(secs => i) FROM generate_series(1, 4000) i`, tiredTenant)
	w.exec(t, `ANALYZE gv.refreshes`)
	err := pg.Across(t.Context(), w.worker, func(tx pgx.Tx) error {
		if _, err := ask(director.AdReason{AdID: "ad-1"}, director.AdReason{AdID: "ad-2"}, director.AdReason{AdID: "ad-3"})(tx); err != nil {
			return err
		}
		var read int
		err := tx.QueryRow(t.Context(), `SELECT coalesce(seq_tup_read + idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relid = 'gv.refreshes'::regclass`).Scan(&read)
		if read > 100 {
			t.Errorf("%d of 4000 requests were read for three ads", read)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
