package learn

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Cycle is a cycle as it is shown.
type Cycle struct {
	CycleID     string     `json:"cycle_id"`
	AccountID   string     `json:"account_id"`
	StartedAt   time.Time  `json:"cycle_started_at"`
	CompletedAt *time.Time `json:"cycle_completed_at" nullable:"true"`
	Duration    float64    `json:"duration_seconds"`
	Status      string     `json:"status" enum:"running,completed,failed"`
	RequestedBy string     `json:"requested_by"`
	Steps       []Step     `json:"steps" nullable:"false" doc:"All seven, in their order."`
}

// Step is a step as it is shown: beside these members each has what it found.
type Step struct {
	Step        int        `json:"step"`
	Name        string     `json:"name"`
	Status      string     `json:"status" enum:"pending,active,completed,skipped,failed"`
	Reason      string     `json:"reason,omitempty" doc:"Why it was skipped or failed, or why a number is null."`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
	Successful  *int       `json:"successful,omitempty" doc:"Step 1: predictions whose outcome lay in their interval."`
	Failed      *int       `json:"failed,omitempty" doc:"Step 1: predictions whose outcome did not."`
	Immature    *int       `json:"immature,omitempty" doc:"Step 1: predictions whose conversions could not have arrived yet."`
	Accuracy    *float64   `json:"accuracy,omitempty" nullable:"true" doc:"Step 2: 1 - weighted MAPE of the CTR predictions; null with a reason where there is nothing to judge."`
	Triggered   *bool      `json:"triggered,omitempty" doc:"Step 3: whether a model was trained."`
	NewPatterns *int       `json:"new_patterns,omitempty" doc:"Step 4."`
	Promoted    *int       `json:"promoted,omitempty" doc:"Step 5: ads whose verdict is scale."`
	Received    *int       `json:"received_cells,omitempty" doc:"Step 6: cells of the niche's prior, each of at least five accounts."`
	Queued      *int       `json:"queued,omitempty" doc:"Step 5: changes that were queued; step 7: winners that are being indexed."`
}

// shown writes a cycle with what each step found beside its state.
func shown(c *learning.Cycle) (serve.Encoded[Cycle], error) {
	steps := make([]json.RawMessage, len(c.Steps))
	for i := range c.Steps {
		s := &c.Steps[i]
		head, err := json.Marshal(Step{
			Step: s.Step, Name: s.Name, Status: string(s.Status), Reason: s.Reason, StartedAt: utc(s.StartedAt),
			CompletedAt: utc(s.CompletedAt),
		})
		if err != nil {
			return nil, err
		}
		if s.Status == learning.Completed && len(s.Result) > 2 {
			head = append(append(head[:len(head)-1], ','), s.Result[1:]...)
		}
		steps[i] = head
	}
	out := struct {
		Cycle
		Steps []json.RawMessage `json:"steps"`
	}{Cycle: Cycle{
		CycleID: c.ID, AccountID: c.Account, StartedAt: c.StartedAt.UTC(), CompletedAt: utc(c.CompletedAt), Status: string(c.Status),
		RequestedBy: c.By,
	}, Steps: steps}
	out.Duration = duration(c)
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode cycle %s: %w", c.ID, err)
	}
	return body, nil
}

// duration is how long a cycle took, or has taken by its last step.
func duration(c *learning.Cycle) float64 {
	end := c.StartedAt
	if c.CompletedAt != nil {
		end = *c.CompletedAt
	} else {
		for _, s := range c.Steps {
			if s.CompletedAt != nil && s.CompletedAt.After(end) {
				end = *s.CompletedAt
			}
		}
	}
	return max(end.Sub(c.StartedAt).Seconds(), 0)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// History is an account's cycles and what changed over them.
type History struct {
	AccountID string    `json:"account_id"`
	Cycles    []Point   `json:"cycles" nullable:"false" doc:"Newest first."`
	Patterns  []Pattern `json:"patterns" nullable:"false" doc:"Those that hold now, the strongest first."`
	Money     Money     `json:"money"`
}

// Point is one cycle in the history.
type Point struct {
	CycleID        string    `json:"cycle_id"`
	StartedAt      time.Time `json:"cycle_started_at"`
	Status         string    `json:"status"`
	Duration       float64   `json:"duration_seconds"`
	Judged         int       `json:"judged"`
	Accuracy       *float64  `json:"accuracy" nullable:"true"`
	Calibration    *float64  `json:"interval_coverage" nullable:"true" doc:"Share of outcomes inside their 90% intervals."`
	ValueAccuracy  *float64  `json:"value_accuracy" nullable:"true"`
	Trained        bool      `json:"triggered"`
	ModelPromoted  bool      `json:"model_promoted"`
	Champion       string    `json:"champion_version,omitempty"`
	NewPatterns    int       `json:"new_patterns"`
	ActivePatterns int       `json:"active_patterns"`
	Promoted       int       `json:"promoted"`
	Killed         int       `json:"kill"`
	Moved          float64   `json:"budget_moved_per_day" doc:"Units of the account's currency."`
	Expected       *float64  `json:"expected_value_per_day" nullable:"true" doc:"Pipeline value a day that the changes are expected to add."`
}

// Pattern is a value of the creative DNA that moves a metric.
type Pattern struct {
	learning.Pattern
	FoundAt  time.Time `json:"found_at"`
	Sentence string    `json:"sentence"`
}

// Money is what changed because of the cycles.
type Money struct {
	Currency string  `json:"currency"`
	Applied  int     `json:"applied_changes" doc:"Changes of the learning cycle that were made on the platform."`
	DryRun   int     `json:"dry_run_changes" doc:"Changes that would have been made, were the account live."`
	Waiting  int     `json:"open_changes" doc:"Changes that wait for their time or an approval."`
	Moved    float64 `json:"applied_budget_per_day" doc:"Budget a day that the applied changes moved, in units."`
}

// changed sums up the changes that the cycles of an account asked for.
func changed(ctx context.Context, tx pgx.Tx, account string) (m Money, err error) {
	err = tx.QueryRow(ctx, `
		SELECT acc.currency, count(c.*) FILTER (WHERE c.status = 'applied')::int, count(c.*) FILTER (WHERE c.status = 'dry_run')::int,
		       count(c.*) FILTER (WHERE c.status IN ('pending', 'awaiting_approval', 'applying', 'unknown'))::int,
		       coalesce(sum(abs(coalesce(c.target_minor, 0) -
		       coalesce(c.before_minor, 0))) FILTER (WHERE c.status = 'applied') / 10 ^ gv.decimals(acc.currency), 0)::float8
		FROM   gv.accounts acc
		LEFT   JOIN gv.pending_ad_changes c ON c.tenant_id = acc.tenant_id AND c.account_id = acc.account_id AND c.source = 'learning'
		WHERE  acc.tenant_id = gv.tenant() AND acc.account_id = $1
		GROUP BY acc.currency`, account).Scan(&m.Currency, &m.Applied, &m.DryRun, &m.Waiting, &m.Moved)
	if err != nil {
		return m, fmt.Errorf("sum up the changes of account %s: %w", account, err)
	}
	return m, nil
}

func historyOf(account string, cycles []learning.Cycle, patterns []learning.Known, moved Money) (History, error) {
	h := History{AccountID: account, Cycles: make([]Point, len(cycles)), Patterns: make([]Pattern, len(patterns)), Money: moved}
	for i := range cycles {
		c := &cycles[i]
		p := Point{CycleID: c.ID, StartedAt: c.StartedAt.UTC(), Status: string(c.Status), Duration: duration(c)}
		var accuracy learning.Accuracy
		if c.Found(learning.CalculateAccuracy, &accuracy) {
			p.Judged, p.Accuracy, p.Calibration, p.ValueAccuracy = accuracy.Judged, accuracy.Accuracy, accuracy.CTR.Coverage,
				accuracy.Value.Accuracy
		}
		for _, step := range []int{learning.AutoRetrain, learning.CompoundLearning, learning.AutoPromote} {
			if s := c.Steps[step-1]; s.Status == learning.Completed {
				if err := json.Unmarshal(s.Result, &p); err != nil {
					return h, fmt.Errorf("read step %d of cycle %s: %w", step, c.ID, err)
				}
			}
		}
		h.Cycles[i] = p
	}
	for i, k := range patterns {
		h.Patterns[i] = Pattern{k.Pattern, k.FoundAt.UTC(), k.Sentence()}
	}
	return h, nil
}
