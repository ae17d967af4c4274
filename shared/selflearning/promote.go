package selflearning

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// promoted is what step 5 decided.
type promoted struct {
	Promoted   int       `json:"promoted"`
	Scale      int       `json:"scale"`
	Kill       int       `json:"kill"`
	Maintain   int       `json:"maintain"`
	Unjudged   int       `json:"unjudged"`
	Queued     int       `json:"queued"`
	Unchanged  int       `json:"unchanged"`
	Refused    int       `json:"refused"`
	Mode       string    `json:"mode"`
	Moved      float64   `json:"budget_moved_per_day"`
	Expected   *float64  `json:"expected_value_per_day"`
	Currency   string    `json:"currency"`
	Changes    []adMoved `json:"changes"`
	NotChanged string    `json:"expected_value_reason,omitempty"`
}

// adMoved is one ad's verdict and what became of it.
type adMoved struct {
	AdID     string  `json:"ad_id"`
	Verdict  string  `json:"verdict"`
	Budget   float64 `json:"current_budget"`
	Target   float64 `json:"target_budget"`
	ChangeID string  `json:"change_id,omitempty"`
	Status   string  `json:"status"`
	Reason   string  `json:"reason,omitempty"`
}

// recentDays of an ad are enough for the sampler.
const recentDays = 60

// autoPromote asks the sampler for its verdicts on the account's active ads and
// queues what follows: a scaled ad gets the budget that the sampler recommends, a
// killed one is paused. An ad is moved by the same verdict once a day at most,
// whatever the number of cycles, by the executor's rules and the account's mode.
func (s *steps) autoPromote(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var (
		k    known
		arms []sampler.Arm
		mode string
	)
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		if k.account, err = readAccount(ctx, tx, c.Account); err != nil {
			return err
		}
		if err = tx.QueryRow(ctx, `SELECT mode FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1`, c.Account).Scan(&mode); err != nil {
			return fmt.Errorf("read the mode of account %s: %w", c.Account, err)
		}
		if k.Currency == k.Home { // deals are in the CRM's currency
			if k, err = s.know(ctx, c, tx); err != nil {
				return err
			}
		}
		arms, err = readArms(ctx, tx, c.Account, c.StartedAt)
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	total := money.Amount(0)
	for _, a := range arms {
		total += a.Current
	}
	switch {
	case len(arms) == 0:
		return learning.Work{Skip: "the account has no active ads"}, nil
	case total <= 0:
		return learning.Work{Skip: "no budget of the account's active ads is known, and none has spent anything"}, nil
	}
	split := sampler.Allocate(sampler.Request{
		Currency: k.Currency, Total: total, Seed: seedOf(c), Arms: arms, Settings: thresholds(&k.account),
		Account: sampler.Account{Deals: k.deals, DealValue: sampler.TypicalDeal(k.deals)},
	})
	found, intents := verdicts(c, &k.account, split)
	found.Mode = mode
	return learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		out := found
		out.Changes = append([]adMoved{}, found.Changes...)
		done, err := queue.NewStore(tx).Enqueue(ctx, c.Tenant, intents)
		if err != nil {
			return nil, err
		}
		for i, e := range done {
			ad := &out.Changes[i]
			ad.ChangeID, ad.Status, ad.Reason = e.ChangeID, string(e.Status), e.Reason
			switch {
			case e.Status == changes.StatusRefused:
				out.Refused++
			case e.Status == changes.StatusUnchanged:
				out.Unchanged++
			default:
				out.Queued++
				out.Moved += abs(ad.Target - ad.Budget)
			}
		}
		return out, nil
	}}, nil
}

// verdicts counts the sampler's verdicts and turns them into intents.
func verdicts(c *learning.Cycle, a *account, split sampler.Split) (promoted, []changes.Intent) {
	out := promoted{Changes: []adMoved{}, Currency: string(a.Currency)}
	var intents []changes.Intent
	gain, today := 0.0, c.StartedAt.UTC().Format(time.DateOnly)
	for i := range split.Recommendations {
		r := &split.Recommendations[i]
		in := changes.Intent{
			Key: fmt.Sprintf("learning/%s/%s/%s/%s", c.Account, today, r.Verdict, r.ID), AdID: r.ID,
			Source: changes.Learning, By: "cycle", Reason: fmt.Sprintf("Verdict %s of the learning cycle. %s", r.Verdict, r.Reason),
		}
		var target money.Amount
		switch r.Verdict {
		case sampler.Scale:
			out.Scale++
			if r.Recommended <= r.Current {
				continue // it has what it can use
			}
			target = r.Recommended
			minor := int64(target)
			in.Target = &minor
		case sampler.Kill:
			out.Kill++
			target, in.Status = 0, "PAUSED"
		case sampler.Maintain:
			out.Maintain++
			continue
		default:
			out.Unjudged++
			continue
		}
		gain += float64(target-r.Current) * r.Posterior.Return
		intents = append(intents, in)
		out.Changes = append(out.Changes, adMoved{
			AdID: r.ID, Verdict: string(r.Verdict), Budget: r.Current.Units(a.Currency),
			Target: target.Units(a.Currency),
		})
	}
	out.Promoted = out.Scale
	if len(intents) > 0 {
		units := money.Amount(gain).Units(a.Currency)
		out.Expected = &units
	} else {
		out.NotChanged = "no verdict asks for a change"
	}
	return out, intents
}

func abs(x float64) float64 { return max(x, -x) }

// seedOf is the same for each run of one cycle.
func seedOf(c *learning.Cycle) uint64 {
	h := fnv.New64a()
	h.Write([]byte(c.ID))
	return h.Sum64() >> 11
}

// thresholds are what the account set for verdicts.
func thresholds(a *account) sampler.Settings {
	var set sampler.Settings
	number := func(name string) float64 { x, _ := a.Settings[name].(float64); return x }
	if minor, err := money.FromUnits(number("verdict_spend"), a.Currency); err == nil && minor > 0 {
		set.TestSpend = minor
	}
	if roas := number("winner_roas"); roas > 0 {
		set.Target = roas
	}
	switch {
	case a.BreakEven != nil:
		set.BreakEven = *a.BreakEven
	case a.Margin != nil && *a.Margin > 0:
		set.BreakEven = 1 / *a.Margin
	}
	return set
}

// readArms returns the account's active ads as the sampler sees them. An ad whose
// budget nobody knows has what it spent a day in its last week.
func readArms(ctx context.Context, tx pgx.Tx, account string, now time.Time) ([]sampler.Arm, error) {
	rows, _ := tx.Query(ctx, `
		SELECT   a.ad_id, a.impressions, a.clicks, a.spend_minor, a.pipeline_minor, CASE WHEN a.value_source = 'ledger' THEN a.revenue_minor END,
		         CASE WHEN a.value_source = 'ledger' THEN a.attribution_confidence ELSE 0 END::float8, a.daily_budget_minor,
		         coalesce((SELECT sum(m.spend_minor) / 7 FROM gv.ad_metrics m
		                   WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND m.day >= @now::date - 7 AND m.day < @now::date), 0)::bigint,
		         greatest(extract(epoch FROM @now - least(a.created_at, f.day::timestamptz)) / 3600, 0)::float8,
		         coalesce(d.ages, '{}'), coalesce(d.impressions, '{}'), coalesce(d.clicks, '{}'), coalesce(d.spend, '{}')
		FROM     gv.ads a
		CROSS    JOIN LATERAL (SELECT min(m.day) AS day FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id) AS f
		LEFT     JOIN LATERAL (
			SELECT array_agg(24 * (m.day - least((a.created_at AT TIME ZONE 'UTC')::date, f.day) + 1)::float8 ORDER BY m.day) AS ages,
			       array_agg(m.impressions ORDER BY m.day) AS impressions, array_agg(m.clicks ORDER BY m.day) AS clicks,
			       array_agg(m.spend_minor ORDER BY m.day) AS spend
			FROM   gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND m.day > @now::date - @days::int
		) AS d ON true
		WHERE    a.tenant_id = gv.tenant() AND a.account_id = @account AND a.status = 'ACTIVE'
		ORDER BY a.created_at DESC, a.ad_id
		LIMIT    @most`,
		pgx.StrictNamedArgs{"account": account, "now": now, "days": recentDays, "most": mostAds})
	var arms []sampler.Arm
	var (
		a              sampler.Arm
		cash, budget   *int64
		perDay         int64
		ages           []float64
		shown, clicked []int64
		spent          []int64
	)
	_, err := pgx.ForEachRow(rows, []any{
		&a.ID, &a.Impressions, &a.Clicks, &a.Spend, &a.Pipeline, &cash, &a.Attribution, &budget, &perDay, &a.AgeHours, &ages, &shown,
		&clicked, &spent,
	}, func() error {
		next := a
		next.Current, next.CurrentKnown = money.Amount(perDay), false
		if budget != nil {
			next.Current, next.CurrentKnown = money.Amount(*budget), true
		}
		if cash != nil {
			won := money.Amount(*cash)
			next.Cash = &won
		}
		for i, age := range ages {
			next.Days = append(next.Days, sampler.Day{
				AgeHours: min(age, next.AgeHours+24), Impressions: shown[i], Clicks: clicked[i],
				Spend: money.Amount(spent[i]),
			})
		}
		arms = append(arms, next)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the active ads of account %s: %w", account, err)
	}
	return arms, nil
}
