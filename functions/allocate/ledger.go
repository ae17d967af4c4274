package allocate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/decisions"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/sampler"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type listInput struct {
	AccountID string `query:"account_id" maxLength:"256" doc:"Only this account's."`
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Before    string `query:"before" format:"uuid" doc:"Only those older than this decision: the next_before of the page before."`
}

type listOutput struct{ Body listBody }

type listBody struct {
	Decisions  []Entry `json:"decisions" nullable:"false"`
	NextBefore string  `json:"next_before,omitempty" doc:"Asks for the next page; left out on the last."`
}

// Entry is a decision in a list. Money is in units.
type Entry struct {
	DecisionID   string    `json:"decision_id"`
	CreatedAt    time.Time `json:"created_at"`
	AccountID    string    `json:"account_id"`
	Currency     string    `json:"currency"`
	RequestedBy  string    `json:"requested_by"`
	ModelVersion string    `json:"model_version"`
	Architecture string    `json:"architecture"`
	Seed         int64     `json:"seed"`
	NumAds       int32     `json:"num_ads"`
	TotalBudget  float64   `json:"total_budget"`
	Unallocated  float64   `json:"unallocated_budget"`
	Expected     *float64  `json:"expected_return,omitempty" doc:"Posterior mean of the pipeline value that a day of this split finally brings; left out of old decisions."`
	Gain         *float64  `json:"expected_gain,omitempty" doc:"How much more that is than a day of the budgets before it is expected to bring; left out of old decisions."`
}

func entryOf(s decisions.Summary) Entry {
	return Entry{
		DecisionID: s.DecisionID.String(), CreatedAt: s.CreatedAt, AccountID: s.AccountID, Currency: string(s.Currency),
		RequestedBy: s.RequestedBy, ModelVersion: s.ModelVersion, Architecture: s.Architecture, Seed: s.Seed, NumAds: s.NumAds,
		TotalBudget: s.Total.Units(s.Currency), Unallocated: s.Unallocated.Units(s.Currency),
		Expected: units(s.ExpectedReturn, s.Currency), Gain: units(s.ExpectedGain, s.Currency),
	}
}

// units converts an expectation, which is no whole number of minor units.
func units(minor *float64, c money.Currency) *float64 {
	if minor == nil {
		return nil
	}
	u := *minor * money.Amount(1).Units(c)
	return &u
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	if in.AccountID != "" && !printable(in.AccountID) {
		return nil, fault.Field("query.account_id", printableRule)
	}
	var before uuid.UUID
	if in.Before != "" {
		var err error
		if before, err = uuid.Parse(in.Before); err != nil {
			return nil, fault.Field("query.before", "must be the id of a decision")
		}
	}
	var found []decisions.Summary
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		found, err = decisions.NewStore(tx).List(ctx, in.AccountID, before, in.Limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	body := listBody{Decisions: []Entry{}}
	for i, s := range found {
		if i == in.Limit {
			body.NextBefore = body.Decisions[i-1].DecisionID
			break
		}
		body.Decisions = append(body.Decisions, entryOf(s))
	}
	return &listOutput{body}, nil
}

type oneInput struct {
	ID string `path:"id" format:"uuid"`
}

type showOutput struct{ Body showBody }

type showBody struct {
	Entry
	Inputs    inputs          `json:"inputs" doc:"What the allocation was computed from, in numbers."`
	Posterior json.RawMessage `json:"posterior" doc:"What it believed of the account and of each ad."`
	Answer    json.RawMessage `json:"answer" doc:"What it answered."`
}

type inputs struct {
	KnownBudgets   int `json:"known_budgets" doc:"Ads whose current budget limits the change."`
	Excluded       int `json:"excluded"`
	Unspent        int `json:"unspent" doc:"Ads that had not spent yet."`
	WithHistory    int `json:"ads_with_history" doc:"Ads with stored days or earlier observations."`
	StoredDays     int `json:"stored_days"`
	Observations   int `json:"observations"`
	CreativeScores int `json:"creative_scores"`
	Deals          int `json:"deals" doc:"Deals that the delay from click to value was learned from."`
}

func (f *function) show(ctx context.Context, in *oneInput) (*showOutput, error) {
	d, err := f.named(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	body := showBody{Entry: entryOf(d.Summary)}
	req, err := given(d)
	if err != nil {
		return nil, err
	}
	body.Inputs = sum(req)
	if body.Posterior, err = d.Posterior.Open(); err != nil {
		return nil, fmt.Errorf("posterior of decision %s: %w", d.DecisionID, err)
	}
	if body.Answer, err = d.Answer.Open(); err != nil {
		return nil, fmt.Errorf("answer of decision %s: %w", d.DecisionID, err)
	}
	return &showOutput{body}, nil
}

// named returns the decision that a path names.
func (f *function) named(ctx context.Context, id string) (decisions.Decision, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return decisions.Decision{}, fault.Field("path.id", "must be the id of a decision")
	}
	return f.decision(ctx, parsed)
}

func (f *function) decision(ctx context.Context, id uuid.UUID) (d decisions.Decision, err error) {
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		d, err = decisions.NewStore(tx).Get(ctx, id)
		return err
	})
	return d, err
}

// given returns what the sampler was given for a decision.
func given(d decisions.Decision) (*sampler.Request, error) {
	data, err := d.Inputs.Open()
	if err != nil {
		return nil, fmt.Errorf("inputs of decision %s: %w", d.DecisionID, err)
	}
	req := new(sampler.Request)
	if err := json.Unmarshal(data, req); err != nil {
		return nil, fmt.Errorf("inputs of decision %s: %w", d.DecisionID, err)
	}
	return req, nil
}

func sum(req *sampler.Request) inputs {
	all := inputs{Deals: len(req.Account.Deals)}
	count := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	for i := range req.Arms {
		a := &req.Arms[i]
		count(&all.KnownBudgets, a.CurrentKnown && a.Current > 0)
		count(&all.Excluded, a.Excluded)
		count(&all.Unspent, a.Spend == 0)
		count(&all.WithHistory, len(a.Days)+len(a.Past) > 0)
		count(&all.CreativeScores, a.DNA != nil)
		all.StoredDays += len(a.Days)
		all.Observations += len(a.Past)
	}
	return all
}

// replay computes a decision again. Where the model or the processor is another,
// it could not be expected to be the same and says so; where they are the same
// and the answer is not, the ledger or the model is broken.
func (f *function) replay(ctx context.Context, in *oneInput) (*selectOutput, error) {
	d, err := f.named(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if d.ModelVersion != modelVersion || d.Architecture != decisions.Here {
		return nil, fault.Conflictf("this decision was computed by model %s on a %s processor; the model that runs now is %s on %s and cannot repeat it",
			d.ModelVersion, d.Architecture, modelVersion, decisions.Here)
	}
	req, err := given(d)
	if err != nil {
		return nil, err
	}
	split := sampler.Allocate(*req)
	again, err := write(d.DecisionID, req, &split)
	if err != nil {
		return nil, fmt.Errorf("replay decision %s: %w", d.DecisionID, err)
	}
	sent, err := d.Answer.Open()
	if err != nil {
		return nil, fmt.Errorf("answer of decision %s: %w", d.DecisionID, err)
	}
	if !bytes.Equal(again, sent) {
		return nil, fmt.Errorf("replay decision %s: the answer computed again differs from the one that was given, "+
			"although model (%s) and architecture (%s) are the same",
			d.DecisionID, d.ModelVersion, d.Architecture)
	}
	serve.Note(ctx, "decision", d.DecisionID)
	return &selectOutput{again}, nil
}
