package director

import (
	"context"
	"log/slog"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Sources are where the facts of a brief come from. The memory of winners and the
// oracle are domains of their own, which a function joins with this one.
type Sources struct {
	// Winners finds up to k of the tenant's winners that are like a text, and says
	// with which embedding model, even where it failed.
	Winners func(ctx context.Context, tenant, text string, k int) (found []Example, model string, err error)
	// Predict asks the oracle. near are the winners that the embedding model found.
	Predict func(ctx context.Context, q Question, near []Example, model string) (Prediction, error)
	// Patterns returns what the learning cycle has found to move clicks or value in an
	// account, the strongest first.
	Patterns func(ctx context.Context, tx pgx.Tx, account string) ([]Pattern, error)
}

// searched is how many winners are looked at: more than a plan goes by, because
// many of those most like a tired ad open as it does, and because the oracle
// learns from all of them.
const searched = 25

// Question is what a brief is wanted for.
type Question struct {
	Tenant    string
	AccountID string
	DNA       creative.DNA
	Text      string // what of it is searched by; "" searches for nothing
	Tired     *Tired // the ad that is to be replaced, where there is one
}

// Brief predicts the creative and finds the ads that its plan goes by. Where the
// embedding model does not answer, and the template may serve, the plan does
// without the memory of winners and says so. It uses the network.
func (d Director) Brief(ctx context.Context, db *pg.DB, q Question) (Brief, error) {
	b := Brief{Kind: BattlePlan, DNA: q.DNA, Seconds: SecondsOf(q.DNA), Tired: q.Tired}
	winners, err := d.winners(ctx, q, &b)
	if err != nil {
		return b, err
	}
	var best []Example
	err = pg.InTenant(ctx, db, q.Tenant, func(tx pgx.Tx) (err error) {
		if best, err = NewStore(tx).Best(ctx, q.AccountID, searched); err != nil {
			return err
		}
		b.Patterns, err = d.sources.Patterns(ctx, tx, q.AccountID)
		return err
	})
	if err != nil {
		return b, err
	}
	b.Grounding, b.Examples = Ground(winners, best, q.Tired)
	b.Prediction, err = d.sources.Predict(ctx, q, winners, b.vectors)
	if q.Tired == nil && b.Prediction.Decision == reject {
		b.Kind = FixPlan // a replacement is another creative, whatever the oracle says of the old one
	}
	return b, err
}

const reject = "REJECT"

// winners searches the memory, and notes in b where it cannot be searched.
func (d Director) winners(ctx context.Context, q Question, b *Brief) (found []Example, err error) {
	if q.Text == "" {
		return nil, nil
	}
	found, b.vectors, err = d.sources.Winners(ctx, q.Tenant, q.Text, searched)
	if err == nil || ctx.Err() != nil || d.fallback == FallbackError || fault.Of(err) == fault.Internal {
		return found, err
	}
	b.Unsearched = Why(err)
	slog.WarnContext(ctx, "director: a plan does without the memory of winners", "tenant", q.Tenant, "error", err.Error())
	return nil, nil
}

// Foresee predicts the creative as c plans it, and puts that into c.
func (d Director) Foresee(ctx context.Context, q Question, b Brief, c *Content) error {
	q.DNA = planned(b.DNA, c.Draft)
	p, err := d.sources.Predict(ctx, q, nil, b.vectors)
	if err == nil {
		c.Planned = &Outlook{p.PredictedCTR, p.PredictedROAS, p.Confidence}
	}
	return err
}

// planned is the creative as it will be: its DNA with what the draft says of it
// in flat keys, which go before sections.
func planned(is creative.DNA, d Draft) creative.DNA {
	dna := maps.Clone(is)
	if dna == nil {
		dna = creative.DNA{}
	}
	for _, f := range d.Fixes {
		if f.To != "" {
			dna[f.Feature] = strings.TrimPrefix(f.To, "about ")
		}
	}
	dna[hookType], dna["hook_text"] = d.Hook.Type, d.Hook.Text
	dna[visualPacing], dna[ctaType], dna["cta_text"] = d.Pacing.Type, d.CTA.Type, d.CTA.Text
	if n := len(d.Scenes); n > 0 {
		dna[duration] = d.Scenes[n-1].EndSeconds
	}
	return dna
}
