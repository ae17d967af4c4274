package sweep

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// writer writes batch after batch.
type writer struct {
	*Sweep
	total *Report
	from  place
	// at is the tenant of the last batch's last ad, and open its report so far.
	at   string
	open *Report
	seen bool
}

// write writes the outcome of a batch, all or nothing: which ads tire and what is
// done for them, each account's alarms, the reports of tenants that are finished,
// and how far the sweep has come.
func (w *writer) write(ctx context.Context, b *ads) error {
	if !w.seen && w.from.report != nil {
		w.at, w.open = w.from.tenant, w.from.report
	}
	w.seen = true
	var (
		reports map[string]*Report // of this batch alone, by tenant
		open    *Report
		ended   map[string]*Report
	)
	end := b.keys[len(b.keys)-1]
	err := w.in(ctx, func(tx pgx.Tx) error {
		tired, err := b.tired(ctx, tx)
		if err != nil {
			return err
		}
		reports = b.counted()
		if err := w.remedies(ctx, tx, b, tired, reports); err != nil {
			return err
		}
		done := map[string]*Report{}
		if w.open != nil && w.at != end.tenant {
			done[w.at] = w.open.with(reports[w.at])
		}
		for tenant, r := range reports {
			if tenant != end.tenant && tenant != w.at {
				done[tenant] = r
			}
		}
		open = reports[end.tenant]
		if w.open != nil && w.at == end.tenant {
			open = w.open.with(open)
		}
		if _, err := w.putReports(ctx, tx, done); err != nil {
			return err
		}
		ended = done
		return w.putProgress(ctx, tx, end, open)
	})
	if err != nil {
		return err
	}
	for tenant, r := range reports {
		if tenant != w.at {
			w.total.Tenants++
		}
		w.total.add(r)
		for status, n := range r.ByStatus {
			telemetry.FatigueVerdicts.Add(ctx, float64(n), status)
		}
	}
	w.at, w.open = end.tenant, open
	for tenant, r := range ended {
		w.show(tenant, w.from.started, r, true)
	}
	w.show(w.at, w.from.started, w.open, false)
	return nil
}

// tired reads what else is known of the ads that need action, decides with it which
// of them do, and writes every ad's status.
func (b *ads) tired(ctx context.Context, tx pgx.Tx) ([]tiredAd, error) {
	all, err := b.readTired(ctx, tx)
	if err != nil {
		return nil, err
	}
	var news []*tiredAd // whose words or remedies are needed
	for i := range all {
		if t := &all[i]; !t.paused && (t.due || !b.keys[t.at].was.NeedsAction()) {
			news = append(news, t)
		}
	}
	if err := b.readBudgets(ctx, tx, news); err != nil {
		return nil, err
	}
	inParts(len(news), func(first, end int) {
		for _, t := range news[first:end] {
			b.reconsider(t)
		}
	})
	all = slices.DeleteFunc(all, func(t tiredAd) bool { return !b.keys[t.at].is.NeedsAction() })
	paused := map[int32]bool{}
	for i := range all {
		paused[all[i].at] = all[i].paused
	}
	fresh, err := b.setStatus(ctx, tx, paused)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].fresh = fresh[all[i].at]
	}
	return all, nil
}

// reconsider judges an ad with what else is known of it. One that would tire anew
// is healthy where a budget change or the learning phase explains its figures; one
// that tires already gets no cut while they swing, nor while its account's ads fall
// together.
func (b *ads) reconsider(t *tiredAd) {
	k := &b.keys[t.at]
	v := b.verdict(t.at, t.budgets, t.learning)
	t.reason = v.Reason
	swings := t.swings(b.now)
	if swings != "" && !k.was.NeedsAction() {
		k.is = v.Status
	}
	switch {
	case !t.due:
	case swings != "":
		t.due, t.waits = false, swings
	case b.shared(k):
		t.due, t.waits = false, "its account's ads fall together: the account has one alarm, and no ad of it is cut for that"
	}
}

// finish writes the last tenant's report.
func (w *writer) finish(ctx context.Context) error {
	if !w.seen && w.from.report != nil { // it had been cut short behind the last ad
		w.at, w.open = w.from.tenant, w.from.report
	}
	done := map[string]*Report{}
	switch {
	case w.open != nil:
		done[w.at] = w.open
	case w.tenant != "":
		done[w.tenant] = newReport(w.from.started)
	}
	err := w.in(ctx, func(tx pgx.Tx) error {
		ids, err := w.putReports(ctx, tx, done)
		if err != nil {
			return err
		}
		if w.tenant != "" {
			w.total.SweepID = ids[w.tenant]
		}
		return w.clear(ctx, tx)
	})
	if err != nil {
		return err
	}
	for tenant, r := range done {
		w.show(tenant, w.from.started, r, true)
	}
	return nil
}

// with returns the sum of two reports.
func (r *Report) with(more *Report) *Report {
	sum := newReport(r.StartedAt)
	sum.add(r)
	if more != nil {
		sum.add(more)
	}
	return sum
}

// counted starts the batch's reports.
func (b *ads) counted() map[string]*Report {
	reports := map[string]*Report{}
	for i := range b.keys {
		k := &b.keys[i]
		r := reports[k.tenant]
		if r == nil {
			r = newReport(b.now)
			reports[k.tenant] = r
		}
		r.look(k.is)
	}
	return reports
}

// remedies gives the ads that tire their cuts and new creatives, and puts alarms of
// accounts and notices of what is new.
func (w *writer) remedies(ctx context.Context, tx pgx.Tx, b *ads, tired []tiredAd, reports map[string]*Report) error {
	notices, err := b.putAlerts(ctx, tx, reports)
	if err != nil {
		return err
	}
	due := map[string][]*tiredAd{}
	var order []string
	for i := range tired {
		t := &tired[i]
		k, r := &b.keys[t.at], reports[b.keys[t.at].tenant]
		if t.fresh {
			r.NewlyFatigued++
			notices[k.tenant] = append(notices[k.tenant], notice.Notice{
				Kind: notice.AdFatigued, AdID: k.ad, AccountID: k.account, At: b.now,
				Text: fmt.Sprintf("Ad %s is %s. %s", k.ad, k.is, t.reason), Data: map[string]any{"fatigue_status": string(k.is)},
			})
		}
		if !t.due {
			r.skip(k.ad, t.waits)
			continue
		}
		if due[k.tenant] == nil {
			order = append(order, k.tenant)
		}
		due[k.tenant] = append(due[k.tenant], t)
	}
	for _, tenant := range order {
		if err := w.remedyOne(ctx, tx, b, tenant, due[tenant], reports[tenant]); err != nil {
			return err
		}
	}
	if w.tenant != "" {
		return notice.Put(ctx, tx, w.tenant, notices[w.tenant]...)
	}
	return notice.PutEach(ctx, tx, notices)
}

// remedyOne gives one tenant's ads their cuts and new creatives. An error of one
// tenant undoes that tenant's, is named in its report, and does not stop the others.
func (w *writer) remedyOne(ctx context.Context, tx pgx.Tx, b *ads, tenant string, due []*tiredAd, r *Report) error {
	done, skipped := []Remediated(nil), [][2]string(nil)
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		claimed, err := b.claim(ctx, tx, tenant, due)
		if err != nil || len(claimed) == 0 {
			return err
		}
		all := make([]Tired, len(claimed))
		for i, t := range claimed {
			k := &b.keys[t.at]
			all[i] = Tired{AdID: k.ad, Status: k.is, Reason: t.reason, Key: "fatigue/" + k.ad + "/" + b.now.UTC().Format(time.RFC3339Nano)}
		}
		// Ads are locked before what holds their budgets, here as everywhere.
		refreshes, err := w.remedy.Refresh(ctx, tx, tenant, w.by, all)
		if err != nil {
			return fmt.Errorf("ask for new creatives: %w", err)
		}
		cuts, err := w.remedy.Cut(ctx, tx, tenant, w.by, all)
		if err != nil {
			return fmt.Errorf("cut budgets: %w", err)
		}
		for i, t := range all {
			if why := cuts[i].Reason; cuts[i].ID == "" {
				skipped = append(skipped, [2]string{t.AdID, "no cut: " + why})
			}
			if why := refreshes[i].Reason; refreshes[i].ID == "" {
				skipped = append(skipped, [2]string{t.AdID, "no new creative: " + why})
			}
			if cuts[i].ID != "" || refreshes[i].ID != "" {
				done = append(done, Remediated{t.AdID, string(t.Status), t.Reason, cuts[i].ID, cuts[i].Status, refreshes[i].ID})
			}
		}
		return b.putRemedies(ctx, tx, tenant, all, cuts, refreshes)
	})
	switch {
	case err != nil && (ctx.Err() != nil || broken(err)):
		return err
	case err != nil:
		slog.ErrorContext(ctx, "sweep: no remedies for a tenant's tired ads", "tenant", tenant, "ads", len(due), "error", err.Error())
		for _, t := range due {
			r.skip(b.keys[t.at].ad, "an error of ours: nothing was done; the next sweep tries again")
		}
	default:
		for _, d := range done {
			r.did(d)
		}
		for _, s := range skipped {
			r.skip(s[0], s[1])
		}
	}
	return nil
}
