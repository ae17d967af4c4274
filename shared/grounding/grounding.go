// Package grounding gives the director what its plans go by: the memory of winners
// and the oracle's predictions. It joins three domain packages for every function
// that has plans written.
package grounding

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
)

// Sources returns what plans on db go by. models embed the creatives.
func Sources(db *pg.DB, models embed.Models) director.Sources {
	seer := oracle.New(db)
	return director.Sources{
		Winners: func(ctx context.Context, tenant, text string, k int) ([]director.Example, string, error) {
			return search(ctx, db, models, tenant, text, k)
		},
		Predict: func(ctx context.Context, q director.Question, near []director.Example, vectors string) (director.Prediction, error) {
			query := oracle.Query{Tenant: q.Tenant, AccountID: q.AccountID, DNA: q.DNA, Vectors: vectors}
			for _, e := range near {
				query.Near = append(query.Near, oracle.Neighbour{AdID: e.AdID, Similarity: e.Similarity})
			}
			p, err := seer.Serve(ctx, query)
			return shown(p), err
		},
		Patterns: patterns,
	}
}

// mostPatterns is how many patterns a plan looks at.
const mostPatterns = 20

func patterns(ctx context.Context, tx pgx.Tx, account string) ([]director.Pattern, error) {
	known, err := learning.NewStore(tx).Patterns(ctx, account, false)
	if err != nil {
		return nil, err
	}
	found := make([]director.Pattern, min(len(known), mostPatterns))
	for i := range found {
		k := &known[i]
		found[i] = director.Pattern{Metric: string(k.Metric), Feature: k.Feature, Value: k.Value, Lift: k.Lift, Ads: append([]string{}, k.Ads...)}
	}
	return found, nil
}

func search(ctx context.Context, db *pg.DB, models embed.Models, tenant, text string, k int) ([]director.Example, string, error) {
	embedder, err := winners.Embedder(ctx, db, models, tenant)
	if err != nil {
		return nil, "", err
	}
	vector, err := embedder.Query(ctx, text)
	if err != nil {
		return nil, embedder.Model(), fmt.Errorf("embed the creative with %s: %w", embedder.Model(), err)
	}
	var examples []director.Example
	err = pg.InTenant(ctx, db, tenant, func(tx pgx.Tx) error {
		result, err := winners.NewStore(tx).Search(ctx, winners.Query{Model: embedder.Model(), Vector: vector, K: k})
		if err != nil {
			return err
		}
		examples = make([]director.Example, len(result.Matches))
		for i, m := range result.Matches {
			examples[i] = director.Example{AdID: m.AdID, Similarity: m.Similarity, ROAS: m.ROAS, CTR: m.CTR}
			if err := json.Unmarshal(m.DNA, &examples[i].DNA); err != nil {
				return fmt.Errorf("read the DNA of winner %s: %w", m.AdID, err)
			}
		}
		return nil
	})
	return examples, embedder.Model(), err
}

// shown is the oracle's prediction as a plan shows it.
func shown(p oracle.Prediction) director.Prediction {
	out := director.Prediction{
		Decision: "PROCEED", Reason: p.Reason, Recommendation: p.Recommendation, PredictedCTR: p.CTR, PredictedROAS: p.ROAS,
		Confidence: p.Confidence,
		Intervals:  director.Intervals{CTR: interval(p.CTRInterval), ROAS: interval(p.ROASInterval)}, AccountBaseline: p.Baseline,
		BaselineSource: string(p.BaselineSource),
		ModelVersion:   p.Version, Weaknesses: make([]director.Weakness, len(p.Weaknesses)),
	}
	if p.Reject {
		out.Decision = "REJECT"
	}
	for i, w := range p.Weaknesses {
		out.Weaknesses[i] = director.Weakness{
			Feature: w.Feature, Value: w.Value, Effect: w.Effect, Likely: w.Probability, Instead: w.Instead,
			Ads: append([]string{}, w.Ads...),
		}
	}
	return out
}

func interval(bounds [2]float64) director.Interval {
	return director.Interval{Low: bounds[0], High: bounds[1], Level: oracle.Level}
}
