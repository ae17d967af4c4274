package predict

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
	"github.com/geminivideo/geminivideo/shared/winners"
)

func (f *function) gate(ctx context.Context, in *gateInput) (*gateOutput, error) {
	p, seen, err := f.judge(ctx, in.Body.AccountID, in.asked)
	if err != nil {
		return nil, err
	}
	a := gateAnswer{
		Decision: "PROCEED", Reason: p.Reason, Recommendation: p.Recommendation, PredictedCTR: p.CTR, PredictedROAS: p.ROAS,
		Confidence:      p.Confidence,
		AccountBaseline: p.Baseline, BaselineSource: string(p.BaselineSource), Intervals: spans(p), Weaknesses: weaknesses(p), Evidence: seen,
	}
	if p.Reject {
		a.Decision = "REJECT"
	}
	if a.Gate = string(p.Gate); p.Gate == oracle.ByValue {
		a.PredictedValue, a.BaselineValue = &p.Value, &p.BaselineValue
	}
	if !p.Reject {
		a.TestBudget = p.TestBudget
	}
	if err := f.record(ctx, in, p); err != nil {
		return nil, err
	}
	telemetry.GateDecisions.Add(ctx, 1, a.Gate, strings.ToLower(a.Decision))
	serve.Note(ctx, "account", in.Body.AccountID, "decision", a.Decision, "model", p.Version)
	return &gateOutput{a}, nil
}

func (f *function) predict(ctx context.Context, in *predictInput) (*predictOutput, error) {
	p, seen, err := f.judge(ctx, in.Body.AccountID, in.asked)
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "account", in.Body.AccountID, "model", p.Version)
	return &predictOutput{predictAnswer{
		PredictedCTR: p.CTR, PredictedROAS: p.ROAS, Confidence: p.Confidence, Intervals: spans(p),
		Baseline: p.Baseline, BaselineSource: string(p.BaselineSource), Weaknesses: weaknesses(p), Evidence: seen,
	}}, nil
}

// judge asks the oracle, with the nearest winners.
func (f *function) judge(ctx context.Context, account string, asked question) (oracle.Prediction, Evidence, error) {
	tenant := auth.From(ctx).Tenant
	q := oracle.Query{Tenant: tenant, AccountID: account, DNA: asked.dna, Near: asked.near}
	if err := f.embed(ctx, tenant, asked, &q); err != nil {
		return oracle.Prediction{}, Evidence{}, err
	}
	p, err := f.oracle.Serve(ctx, q)
	if err != nil {
		return oracle.Prediction{}, Evidence{}, err
	}
	e := Evidence{ModelVersion: p.Version, Ads: p.Ads, OwnAds: p.Own, EmbeddingModel: q.Vectors, Neighbours: make([]neighbour, len(p.Near))}
	for i, n := range p.Near {
		e.Neighbours[i] = neighbour{n.AdID, n.Similarity}
	}
	if asked.near != nil {
		e.RAGContext = &ragUse{len(p.Near), len(asked.near) - len(p.Near), "used are the most alike of those whose own figures the model has learned from, at most 10; what else was said of them is not believed"}
	}
	return p, e, nil
}

// record stores the prediction, so that the learning cycle can judge it by what the
// ad does that the creative becomes. The same creative asked about again, with the
// same model, is one prediction.
func (f *function) record(ctx context.Context, in *gateInput, p oracle.Prediction) error {
	dna := in.asked.dna
	one := learning.New{Account: in.Body.AccountID, Hash: learning.HashOf(dna), Prediction: learning.Prediction{
		Source: "gate", Segment: learning.SegmentOf(dna), Version: p.Version, MadeAt: time.Now().UTC(),
		CTR: p.CTR, CTRLow: p.CTRInterval[0], CTRHigh: p.CTRInterval[1], ROAS: p.ROAS, ROASLow: p.ROASInterval[0], ROASHigh: p.ROASInterval[1],
	}}
	return pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		return learning.NewStore(tx).Predicted(ctx, []learning.New{one})
	})
}

// patience is how long the gate waits for an embedding: the model's numbers do
// without one.
const patience = 2 * time.Second

// embed finds out what the creative's vector is, where a winner is stored that
// it could be near to. An embedding model that is down costs the neighbours, and
// nothing else.
func (f *function) embed(ctx context.Context, tenant string, asked question, q *oracle.Query) error {
	var embedder embed.Embedder
	stored := int64(0)
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		store := winners.NewStore(tx)
		models, err := store.Models(ctx, f.models.Configured())
		if err != nil {
			return err
		}
		if embedder, err = models.Embedder(f.models, tenant); err != nil {
			return err
		}
		stored, err = store.Count(ctx, embedder.Model())
		return err
	})
	if err != nil || stored == 0 {
		return err
	}
	text := asked.dna.Text()
	if asked.near != nil || text == "" {
		q.Vectors = embedder.Model()
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	vector, err := embedder.Query(bounded, text)
	switch {
	case err == nil:
		q.Vector, q.Vectors = vector, embedder.Model()
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		serve.Note(ctx, "neighbours", "none: "+err.Error())
	}
	return nil
}

func spans(p oracle.Prediction) intervals {
	return intervals{
		CTR:  interval{p.CTRInterval[0], p.CTRInterval[1], oracle.Level},
		ROAS: interval{p.ROASInterval[0], p.ROASInterval[1], oracle.Level},
	}
}

func weaknesses(p oracle.Prediction) []weakness {
	all := make([]weakness, len(p.Weaknesses))
	for i, w := range p.Weaknesses {
		all[i] = weakness{w.Feature, w.Value, w.Effect, w.Probability, w.Instead, append([]string{}, w.Ads...)}
	}
	return all
}
