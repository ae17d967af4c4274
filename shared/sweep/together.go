package sweep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// AccountAlert is an alarm of an account whose ads fell together.
type AccountAlert struct {
	AccountID string  `json:"account_id"`
	Kind      string  `json:"kind" enum:"ctr_down,cpm_up"`
	Since     string  `json:"since" format:"date" doc:"The day on which most of the ads began to fall, in the account's time zone."`
	Ads       int     `json:"ads" doc:"How many ads fell."`
	FellBy    float64 `json:"fell_by" doc:"The median of their changes, as a share: 0.4 is CTR down by 40%, or CPM up by 40%."`
	Detail    string  `json:"detail"`
	Action    string  `json:"action" doc:"What to look at."`
	// ResolvedAt is nil while the alarm is open.
	ResolvedAt *time.Time `json:"resolved_at" nullable:"true"`
}

// The kinds of an account's alarms.
const (
	ctrDown = "ctr_down"
	cpmUp   = "cpm_up"
)

// actions say what to look at, by kind.
var actions = map[string]string{
	ctrDown: "Look for one cause of all: a landing page or link that changed, tracking that broke, a promotion that ended. No ad is cut for it.",
	cpmUp:   "Look for one cause of all: a dearer auction, such as a season or a new competitor, or an audience that all share. No ad is cut for it.",
}

// An account's ads fall together where most of those judged do, at least two, and
// began within sameTime days of each other. An open alarm stays while at least one
// in stays does.
const (
	stays    = 4
	sameTime = 2
)

// fall is what ads of an account do together.
type fall struct {
	kind   string
	ads    int
	judged int
	since  int32
	by     float64
}

func (f *fall) opens() bool { return f.ads >= 2 && 2*f.ads > f.judged }
func (f *fall) stays() bool { return f.ads >= 2 && stays*f.ads >= f.judged }

// together returns what of an account's ads fell, by kind.
func (b *ads) together(a *account) []fall {
	var falls []fall
	for _, kind := range []string{ctrDown, cpmUp} {
		f := fall{kind: kind}
		var began []int32
		var by []float64
		for _, i := range a.members {
			k := &b.keys[i]
			if k.is != fatigue.InsufficientData {
				f.judged++
			}
			if observed := k.alone(kind); observed != nil {
				began, by = append(began, b.began(k, kind)), append(by, max(*observed, -*observed))
			}
		}
		if len(began) < 2 {
			continue
		}
		sorted := slices.Sorted(slices.Values(began))
		f.since = sorted[(len(sorted)-1)/2]
		var of []float64
		for i, day := range began {
			if day >= f.since-sameTime && day <= f.since+sameTime {
				f.ads++
				of = append(of, by[i])
			}
		}
		slices.Sort(of)
		f.by = of[(len(of)-1)/2]
		falls = append(falls, f)
	}
	return falls
}

// alone is what the ad's own days show of a kind of fall, whatever its account did;
// nil where they show none.
func (k *key) alone(kind string) *float64 {
	if kind == ctrDown {
		return k.ctr
	}
	return k.cpm
}

// began is the day on which an ad's figure left its level for the worse, and stayed.
func (b *ads) began(k *key, kind string) int32 {
	const left = 0.88 // of the level, or beyond its inverse
	rows := k.days
	var hits, of int64
	figure := func(r *row) (int64, int64) {
		if kind == ctrDown {
			return r.clicks, r.impressions
		}
		return r.impressions, r.spend // the inverse of a price: it falls, too
	}
	for i := range rows[:max(1, len(rows)-3)] {
		x, n := figure(&rows[i])
		hits, of = hits+x, of+n
	}
	level := float64(hits) / float64(max(1, of))
	since := rows[len(rows)-1].day
	for i := len(rows) - 1; i >= 0; i-- {
		x, n := figure(&rows[i])
		if n > 0 && float64(x)/float64(n) > left*level {
			break
		}
		since = rows[i].day
	}
	return since
}

// falls gives every account what its ads do together. Of an account that no batch
// holds, its sample says it.
func (b *ads) falls() {
	for _, a := range b.accounts {
		if a.medians.sample {
			a.together = a.medians.together
		} else {
			a.together = b.together(a)
		}
	}
}

// shared reports whether an ad's fall is its account's: then the account has an
// alarm, and the ad is not cut.
func (b *ads) shared(k *key) bool {
	for i := range b.accounts[k.of].together {
		f := &b.accounts[k.of].together[i]
		if f.opens() && k.alone(f.kind) != nil && k.is == statusOf[f.kind] {
			return true
		}
	}
	return false
}

// statusOf is the status of an ad that falls by itself.
var statusOf = map[string]fatigue.Status{ctrDown: fatigue.Fatiguing, cpmUp: fatigue.AudienceExhausted}

// alert is the alarm for what an account's ads do together.
func (a *account) alert(f *fall) AccountAlert {
	what := "a CTR that is down by"
	if f.kind == cpmUp {
		what = "a CPM that is up by"
	}
	since := (&row{day: f.since}).date().Format(time.DateOnly)
	return AccountAlert{
		AccountID: a.id, Kind: f.kind, Since: since, Ads: f.ads, FellBy: f.by, Action: actions[f.kind],
		Detail: fmt.Sprintf("%d of the %d ads of account %s that could be judged have %s %.0f%% (the median) since %s.", f.ads, f.judged,
			a.id, what, 100*f.by, since),
	}
}

// putAlerts writes which accounts' ads fall together, resolves the alarms that are
// over, and returns the notices of new ones, by tenant.
func (b *ads) putAlerts(ctx context.Context, tx pgx.Tx, reports map[string]*Report) (map[string][]notice.Notice, error) {
	open, err := b.openAlerts(ctx, tx)
	if err != nil {
		return nil, err
	}
	notices := map[string][]notice.Notice{}
	for _, a := range b.accounts {
		for i := range a.together {
			f := &a.together[i]
			was := open[alertKey{a.tenant, a.id, f.kind}]
			if !f.opens() && !(was && f.stays()) {
				continue
			}
			delete(open, alertKey{a.tenant, a.id, f.kind})
			alert := a.alert(f)
			fresh, err := b.putAlert(ctx, tx, a.tenant, alert)
			if err != nil {
				return nil, err
			}
			reports[a.tenant].alert(alert)
			if fresh {
				notices[a.tenant] = append(notices[a.tenant], notice.Notice{
					Kind: notice.AccountAlert, AccountID: a.id, Text: alert.Detail + " " + alert.Action, At: b.now,
					Data: map[string]any{"kind": alert.Kind, "since": alert.Since, "ads": alert.Ads, "fell_by": alert.FellBy},
				})
			}
		}
	}
	return notices, b.resolveAlerts(ctx, tx, open)
}

// alertKey is an account's alarm of a kind.
type alertKey struct{ tenant, account, kind string }

func (b *ads) openAlerts(ctx context.Context, tx pgx.Tx) (map[alertKey]bool, error) {
	tenants, ids := make([]string, len(b.accounts)), make([]string, len(b.accounts))
	for i, a := range b.accounts {
		tenants[i], ids[i] = a.tenant, a.id
	}
	rows, _ := tx.Query(ctx, `
		SELECT tenant_id::text, account_id, kind
		FROM   unnest(@tenants::uuid[], @accounts::text[]) AS k (tenant_id, account_id)
		JOIN   gv.account_alerts a USING (tenant_id, account_id)
		WHERE  a.resolved_at IS NULL`,
		pgx.StrictNamedArgs{"tenants": tenants, "accounts": ids})
	open := map[alertKey]bool{}
	var k alertKey
	_, err := pgx.ForEachRow(rows, []any{&k.tenant, &k.account, &k.kind}, func() error { open[k] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("read the accounts' alarms: %w", err)
	}
	return open, nil
}

// putAlert opens an alarm, or updates the open one, and reports whether it is new.
func (b *ads) putAlert(ctx context.Context, tx pgx.Tx, tenant string, a AccountAlert) (fresh bool, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO gv.account_alerts AS o (tenant_id, account_id, kind, opened_at, since, ads, fell_by, detail, action, seen_at)
		VALUES (@tenant, @account, @kind, @now, @since::date, @ads, @by, @detail, @action, @now)
		ON     CONFLICT (tenant_id, account_id, kind) WHERE resolved_at IS NULL DO UPDATE
		SET    ads = excluded.ads, fell_by = excluded.fell_by, detail = excluded.detail, seen_at = excluded.seen_at
		RETURNING o.opened_at = o.seen_at`,
		pgx.StrictNamedArgs{
			"tenant": tenant, "account": a.AccountID, "kind": a.Kind, "now": b.now, "since": a.Since, "ads": a.Ads, "by": a.FellBy,
			"detail": a.Detail, "action": a.Action,
		}).Scan(&fresh)
	if err != nil {
		return false, fmt.Errorf("write the alarm of account %s: %w", a.AccountID, err)
	}
	return fresh, nil
}

func (b *ads) resolveAlerts(ctx context.Context, tx pgx.Tx, over map[alertKey]bool) error {
	if len(over) == 0 {
		return nil
	}
	var tenants, ids, kinds []string
	for k := range over {
		tenants, ids, kinds = append(tenants, k.tenant), append(ids, k.account), append(kinds, k.kind)
	}
	_, err := tx.Exec(ctx, `
		UPDATE gv.account_alerts a SET resolved_at = @now
		FROM   unnest(@tenants::uuid[], @accounts::text[], @kinds::text[]) AS k (tenant_id, account_id, kind)
		WHERE  a.tenant_id = k.tenant_id AND a.account_id = k.account_id AND a.kind = k.kind AND a.resolved_at IS NULL AND a.seen_at <= @now`,
		pgx.StrictNamedArgs{"now": b.now, "tenants": tenants, "accounts": ids, "kinds": kinds})
	if err != nil {
		return fmt.Errorf("resolve the accounts' alarms: %w", err)
	}
	return nil
}
