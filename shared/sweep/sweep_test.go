package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestWhatIsCutShortIsGoneOnWithBehindTheAdItHadReached(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "a", 20, steady)
	w.ads(tenantA, "act_1", "tired", 3, tires)
	w.ads(tenantB, "act_1", "b", 10, steady)
	w.ads(tenantB, "act_1", "worn", 2, tires)
	looked, runs := 0, 0
	for ; runs < 50; runs++ {
		ctx, kill := context.WithCancel(t.Context())
		s := w.all(4)
		s.between = kill // after each batch that is written
		r, err := s.Run(ctx)
		kill()
		if err != nil {
			t.Fatal(err)
		}
		looked += r.LookedAt
		if runs > 0 && !r.Resumed {
			t.Errorf("run %d began anew", runs)
		}
		if !r.Unfinished {
			break
		}
	}
	if looked != 35 || runs < 8 {
		t.Errorf("looked at %d ads in %d runs, want each of 35 once", looked, runs+1)
	}
	slices.Sort(w.cut)
	if got := strings.Join(w.cut, " "); got != "a/tired1 a/tired2 a/tired3 b/worn1 b/worn2" {
		t.Errorf("cut %s", got)
	}
	if got := w.text(`SELECT string_agg(report->>'looked_at' || ' ' || (report->>'remediated'), ', ' ORDER BY tenant_id) FROM gv.sweeps`); got != "23 3, 12 2" {
		t.Errorf("the tenants' reports say %s", got)
	}
	if got := w.text(`SELECT count(*)::text FROM gv.sweep_progress`); got != "0" {
		t.Errorf("%s sweeps are said to be under way", got)
	}
	if r := run(t, w.all(batch)); r.LookedAt != 35 || r.Resumed || len(w.cut) != 5 {
		t.Errorf("the next: %+v", r)
	}
}

func TestARoundThatBeganLongAgoIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "a", 9, steady)
	ctx, kill := context.WithCancel(t.Context())
	s := w.all(4)
	s.between = kill
	if r, err := s.Run(ctx); err != nil || !r.Unfinished || r.LookedAt != 4 {
		t.Fatalf("%+v %v", r, err)
	}
	w.exec(`UPDATE gv.sweep_progress SET started_at = started_at - interval '2 hours'`)
	if r := run(t, w.all(4)); !r.Resumed || r.LookedAt != 5+9 {
		t.Errorf("%+v", r)
	}
}

func TestTwoSweepsAtOnceDoEverythingOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "a", 30, steady)
	w.ads(tenantA, "act_1", "tired", 10, tires)
	var group sync.WaitGroup
	held, newly := 0, 0
	for i := range 6 {
		s := w.all(7)
		if i%2 == 1 {
			s = Of(w.app, tenantA, "editor@a.example", w.remedy())
			s.batch = 5
		}
		group.Go(func() {
			r, err := s.Run(context.Background())
			w.mu.Lock()
			defer w.mu.Unlock()
			newly += r.NewlyFatigued
			switch {
			case errors.Is(err, ErrHeld):
				held++
			case err != nil:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(w.cut) != 10 || newly != 10 {
		t.Errorf("%d cuts and %d newly fatigued, want 10 of each (%d were held): %v", len(w.cut), newly, held, w.cut)
	}
	if got := w.text(`SELECT string_agg(n || ' ' || status, ', ' ORDER BY n) FROM (SELECT status, count(*) AS n FROM gv.ad_fatigue GROUP BY 1) s`); got != "10 FATIGUING, 30 HEALTHY" {
		t.Error(got)
	}
}

func TestAnAccountIsComparedWholeHoweverItFallsIntoBatches(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_dear", "d", 30, dear) // a rise for all of them is nobody's
	w.ads(tenantA, "act_calm", "c", 20, steady)
	w.ads(tenantA, "act_calm", "one", 1, dear)
	w.ads(tenantB, "act_dear", "e", 3, dear)
	for _, batch := range []int{3, 7, 100} {
		w.exec(`DELETE FROM gv.ad_fatigue`)
		r := run(t, w.all(batch))
		if got := w.text(`SELECT coalesce(string_agg(ad_id, ' '), '') FROM gv.ad_fatigue WHERE status <> 'HEALTHY'`); got != "one1" || r.LookedAt != 54 {
			t.Errorf("batches of %d: %s need action, %+v", batch, got, r)
		}
	}
	if got := fmt.Sprint(w.cut); got != "[a/one1]" {
		t.Errorf("cut %s", got)
	}
}

func TestEveryAdIsLookedAtOnceHoweverTenantsFallIntoBatches(t *testing.T) {
	t.Parallel()
	w := open(t)
	looked, tired := 0, 0
	for i, n := range []int{3, 2, 9, 4, 4, 7, 2, 6} {
		tenant := fmt.Sprintf("00000000-0000-4000-8000-0000000001%02d", i)
		w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1::uuid, $1::text)`, tenant)
		w.ads(tenant, "act_1", "s", n, steady)
		w.ads(tenant, "act_1", "t", 2, tires)
		looked, tired = looked+n+2, tired+2
	}
	for batch := 1; batch <= looked+1; batch++ {
		w.exec(`DELETE FROM gv.ad_fatigue`)
		r := run(t, w.all(batch))
		if r.LookedAt != looked || r.NewlyFatigued != tired || r.Tenants != 8 || len(w.cut) != tired {
			t.Errorf("batches of %d: %+v, %d cuts", batch, r, len(w.cut))
		}
		if got := w.text(`SELECT count(*) || ' ' || count(*) FILTER (WHERE status = 'FATIGUING') FROM gv.ad_fatigue`); got != fmt.Sprint(looked, " ", tired) {
			t.Errorf("batches of %d wrote %s", batch, got)
		}
	}
}

func TestOneTenantsErrorIsNotTheOthers(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, tenant := range []string{tenantA, tenantB} {
		w.ads(tenant, "act_1", "a", 2, tires)
		w.ads(tenant, "act_1", "steady", 5, steady)
	}
	w.fail = func(tenant string) error {
		if tenant == tenantA {
			return errors.New("boom")
		}
		return nil
	}
	r := run(t, w.all(batch))
	if len(w.cut) != 2 || r.Remediated != 2 || len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "an error of ours") || r.NewlyFatigued != 4 {
		t.Errorf("%+v, cut %v", r, w.cut)
	}
	w.fail = nil
	if r := run(t, w.all(batch)); len(w.cut) != 4 || r.Remediated != 2 || r.NewlyFatigued != 0 {
		t.Errorf("the next sweep: %+v, cut %v", r, w.cut)
	}
}

// half reads all ads as a sweep does, and returns what judges and writes them.
func half(t *testing.T, s *Sweep) (write func() Report) {
	t.Helper()
	b := &ads{now: time.Now()}
	err := s.in(t.Context(), func(tx pgx.Tx) error {
		if _, err := b.readAds(t.Context(), tx, place{tenant: nobody}, "", nil, batch); err != nil {
			return err
		}
		b.divide(false)
		_, err := b.readBeside(t.Context(), tx, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() Report {
		b.judge()
		w := writer{Sweep: s, total: newReport(b.now)}
		if err := w.write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		return w.total.shown()
	}
}

func TestASweepThatWasOvertakenChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "a", 3, tires)
	w.ads(tenantA, "act_1", "steady", 5, steady)
	write := half(t, w.all(batch))
	w.exec(`UPDATE gv.ad_metrics SET clicks = clicks / 4 WHERE ad_id = 'steady1' AND day >= (now() AT TIME ZONE 'UTC')::date - 2`)
	if r := run(t, Of(w.app, tenantA, "editor@a.example", w.remedy())); r.NewlyFatigued != 4 {
		t.Fatalf("%+v", r)
	}
	if r := write(); r.NewlyFatigued != 0 || r.Remediated != 0 || len(w.cut) != 4 {
		t.Errorf("%+v, cut %v", r, w.cut)
	}
	if got := w.text(`SELECT string_agg(n || ' ' || status, ', ' ORDER BY status) FROM (SELECT status, count(*) AS n FROM gv.ad_fatigue GROUP BY 1) s`); got != "4 FATIGUING, 4 HEALTHY" {
		t.Error(got)
	}
}

func TestAnAdThatIsPausedMeanwhileIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ads(tenantA, "act_1", "a", 3, tires)
	w.ads(tenantA, "act_1", "steady", 5, steady)
	write := half(t, w.all(batch))
	w.exec(`UPDATE gv.ads SET status = 'PAUSED' WHERE ad_id = 'a2'`)
	r := write()
	if r.Remediated != 2 || r.NewlyFatigued != 2 || len(r.Skipped) != 1 || r.Skipped[0].Reason != "it was paused while the sweep ran" {
		t.Errorf("%+v", r)
	}
	if got := w.text(`SELECT string_agg(ad_id || ' ' || status, ', ' ORDER BY ad_id) FROM gv.ad_fatigue WHERE ad_id IN ('a2', 'a3', 'steady4')`); got != "a3 FATIGUING, steady4 HEALTHY" {
		t.Errorf("their statuses became %s", got)
	}
}
