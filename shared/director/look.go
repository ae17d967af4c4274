package director

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Sources are where the facts of a brief come from. The memory of winners and the
// oracle are domains of their own, which a function joins with this one.
type Sources struct {
	// Embedder returns what embeds for a tenant.
	Embedder func(tenant string) embed.Embedder
	// Winners finds up to k winners of tx's tenant like a vector of the model.
	Winners func(ctx context.Context, tx pgx.Tx, model string, vector embed.Vector, k int) ([]Example, error)
	// Predict asks the oracle. vector is of the model and may be nil.
	Predict func(ctx context.Context, tx pgx.Tx, account string, dna creative.DNA, model string, vector embed.Vector) (Prediction, error)
}

// searched is how many winners are looked at for a tired ad's replacement: of
// those most like it, many open as it does.
const searched = 25

// Question is what a brief is wanted for.
type Question struct {
	AccountID string
	DNA       creative.DNA
	Text      string // what of it is searched by; "" searches for nothing
	Tired     *Tired // the ad that is to be replaced, where there is one
}

// Brief predicts the creative and finds the ads that its plan goes by. Where the
// embedding model does not answer, and the template may serve, the plan does
// without the memory of winners and says so. It uses the network.
func (d Director) Brief(ctx context.Context, db *pg.DB, tenant string, q Question) (Brief, error) {
	b := Brief{Kind: BattlePlan, DNA: q.DNA, Seconds: SecondsOf(q.DNA), Tired: q.Tired}
	embedder := d.sources.Embedder(tenant)
	var vector embed.Vector
	if q.Text != "" {
		var err error
		switch vector, err = embedder.Query(ctx, q.Text); {
		case err == nil:
		case ctx.Err() != nil:
			return b, ctx.Err()
		case d.fallback == FallbackError:
			return b, fmt.Errorf("embed the creative: %w", err)
		default:
			vector, b.Unsearched = nil, Why(err)
		}
	}
	err := pg.InTenant(ctx, db, tenant, func(tx pgx.Tx) (err error) {
		var winners []Example
		if vector != nil {
			k := MaxExamples
			if q.Tired != nil {
				k = searched
			}
			if winners, err = d.sources.Winners(ctx, tx, embedder.Model(), vector, k); err != nil {
				return err
			}
		}
		best, err := NewStore(tx).Best(ctx, q.AccountID, searched)
		if err != nil {
			return err
		}
		b.Grounding, b.Examples = Ground(winners, best, q.Tired)
		b.Prediction, err = d.sources.Predict(ctx, tx, q.AccountID, q.DNA, embedder.Model(), vector)
		return err
	})
	if q.Tired == nil && b.Prediction.Decision == reject {
		b.Kind = FixPlan // a replacement is another creative, whatever the oracle says of the old one
	}
	return b, err
}

const reject = "REJECT"

// Foresee predicts the creative as the draft plans it, and puts that into c.
func (d Director) Foresee(ctx context.Context, tx pgx.Tx, account, tenant string, b Brief, c *Content) error {
	p, err := d.sources.Predict(ctx, tx, account, planned(b, c.Draft), d.sources.Embedder(tenant).Model(), nil)
	if err == nil {
		c.Planned = &Outlook{p.PredictedCTR, p.PredictedROAS, p.Confidence}
	}
	return err
}

// planned is the creative as it will be: its DNA with what the draft says of it
// in flat keys, which go before sections.
func planned(b Brief, d Draft) creative.DNA {
	dna := maps.Clone(b.DNA)
	if dna == nil {
		dna = creative.DNA{}
	}
	for _, f := range d.Fixes {
		i := slices.IndexFunc(b.Prediction.Weaknesses, func(w Weakness) bool { return w.Feature == f.Feature })
		if i >= 0 && b.Prediction.Weaknesses[i].Instead != "" && !strings.Contains(b.Prediction.Weaknesses[i].Instead, " ") {
			dna[f.Feature] = b.Prediction.Weaknesses[i].Instead
		}
	}
	dna[hookType], dna["hook_text"] = d.Hook.Type, d.Hook.Text
	dna[visualPacing], dna[ctaType], dna["cta_text"] = d.Pacing.Type, d.CTA.Type, d.CTA.Text
	if n := len(d.Scenes); n > 0 {
		dna[duration] = d.Scenes[n-1].EndSeconds
	}
	return dna
}
