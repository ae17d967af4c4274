package selflearning

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/winners"
)

// actuals is what step 1 found.
type actuals struct {
	Successful int   `json:"successful"`
	Failed     int   `json:"failed"`
	Immature   int   `json:"immature"`
	Expired    int   `json:"expired"`
	Predicted  int   `json:"predicted"`
	Bound      int64 `json:"bound"`
}

// predictAgain is how long after its last prediction an active ad is predicted anew.
const predictAgain = 7 * 24 * time.Hour

// fetchActuals judges the predictions of the last 30 days whose conversions could
// have arrived, gives the gate's predictions to the ads that their creatives became,
// and predicts what active ads will do from now on.
func (s *steps) fetchActuals(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var k known
	var open []learning.Prediction
	var typical float64
	var vectors string
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		if k, err = s.know(ctx, c, tx); err != nil {
			return err
		}
		store := learning.NewStore(tx)
		if open, err = store.OpenPredictions(ctx, c.Account, k.curve, c.StartedAt); err != nil {
			return err
		}
		if typical, err = store.Typical(ctx, c.Account); err != nil {
			return err
		}
		vectors, err = s.vectors(ctx, c, tx)
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	found := actuals{}
	var judged []learning.Prediction
	valued := k.valued()
	for _, p := range open {
		if typical > 0 {
			p.Deals = p.Value / typical
		} else if p.Value > 0 {
			p.Deals = 1
		}
		p.State = learning.Judge(p, valued, c.StartedAt)
		switch p.State {
		case learning.Open:
			found.Immature++
			continue
		case learning.Successful:
			found.Successful++
		case learning.Missed:
			found.Failed++
		default:
			found.Expired++
		}
		judged = append(judged, p)
	}
	fresh, err := s.predict(ctx, c, &k, vectors)
	if err != nil {
		return learning.Work{}, err
	}
	found.Predicted = len(fresh)
	hashes := make(map[string][]byte, len(k.ads))
	for _, a := range k.ads {
		if len(a.DNA) > 0 {
			hashes[a.ID] = learning.HashOf(a.DNA)
		}
	}
	work := learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		store := learning.NewStore(tx)
		if err := store.Judged(ctx, c.Account, judged, c.StartedAt); err != nil {
			return nil, err
		}
		out := found
		var err error
		if out.Bound, err = store.Bind(ctx, c.Account, hashes); err != nil {
			return nil, err
		}
		return out, store.Predicted(ctx, fresh)
	}}
	if found.Successful+found.Failed == 0 {
		work.Reason = "no prediction has come to its outcome since the last cycle"
	}
	return work, nil
}

// vectors names the embedding model that the account's winners are searched with.
func (s *steps) vectors(ctx context.Context, c *learning.Cycle, tx pgx.Tx) (string, error) {
	m, err := winners.NewStore(tx).Models(ctx, s.models.Configured())
	if err != nil {
		return "", err
	}
	e, err := m.Embedder(s.models, c.Tenant)
	if err != nil {
		return "", err
	}
	return e.Model(), nil
}

// predict says of active ads that have a DNA, and no prediction of the last week,
// what they will do.
func (s *steps) predict(ctx context.Context, c *learning.Cycle, k *known, vectors string) ([]learning.New, error) {
	var due []learning.Ad
	for _, a := range k.ads {
		if a.Active && len(a.DNA) > 0 && (a.Predicted == nil || c.StartedAt.Sub(*a.Predicted) >= predictAgain) {
			due = append(due, a)
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	model, err := s.oracle.Current(ctx, c.Tenant, c.Account, vectors)
	if err != nil {
		return nil, err
	}
	all := make([]learning.New, len(due))
	for i, a := range due {
		all[i] = learning.New{Prediction: Forecast(model.Predict(a.DNA, nil)), Account: c.Account, Hash: learning.HashOf(a.DNA)}
		all[i].AdID, all[i].Source, all[i].Segment, all[i].MadeAt = a.ID, "cycle", learning.SegmentOf(a.DNA), c.StartedAt
	}
	return all, nil
}

// Forecast is an oracle's prediction as it is stored to be judged.
func Forecast(p oracle.Prediction) learning.Prediction {
	return learning.Prediction{
		Version: p.Version, CTR: p.CTR, CTRLow: p.CTRInterval[0], CTRHigh: p.CTRInterval[1], ROAS: p.ROAS, ROASLow: p.ROASInterval[0],
		ROASHigh: p.ROASInterval[1],
	}
}

// calculateAccuracy measures the predictions that were judged in the last 30 days.
func (s *steps) calculateAccuracy(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	var judged []learning.Prediction
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		judged, err = learning.NewStore(tx).JudgedPredictions(ctx, c.Account, c.StartedAt.Add(-learning.Horizon))
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	a, why := learning.Measure(judged, c.StartedAt)
	return learning.Work{Reason: why, Write: func(context.Context, pgx.Tx) (any, error) { return a, nil }}, nil
}
