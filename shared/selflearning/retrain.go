package selflearning

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/learning"
)

// retrained is what step 3 did.
type retrained struct {
	Triggered bool    `json:"triggered"`
	Trigger   string  `json:"trigger,omitempty"`
	Trained   string  `json:"trained_version,omitempty"`
	Champion  string  `json:"champion_version,omitempty"`
	Promoted  bool    `json:"model_promoted"`
	Demoted   string  `json:"demoted_version,omitempty"`
	Verdict   string  `json:"verdict,omitempty"`
	HeldOut   int     `json:"held_out_ads"`
	CTRGain   float64 `json:"ctr_gain_nats"`
	CTRError  float64 `json:"ctr_gain_error"`
	Gain      float64 `json:"value_gain_nats"`
	GainError float64 `json:"value_gain_error"`
}

// autoRetrain trains a challenger where the predictions are off, and makes it the
// champion where it is better on the newest ads, or where the champion has come to
// do worse than their plain average.
func (s *steps) autoRetrain(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
	if !c.Retrain {
		return learning.Work{Skip: "trigger_retrain is false"}, nil
	}
	var measured learning.Accuracy
	c.Found(learning.CalculateAccuracy, &measured)
	var version, vectors string
	err := s.in(ctx, c, func(tx pgx.Tx) (err error) {
		if vectors, err = s.vectors(ctx, c, tx); err != nil {
			return err
		}
		version, err = s.champion(ctx, tx, c.Account)
		return err
	})
	if err != nil {
		return learning.Work{}, err
	}
	trigger := ""
	switch {
	case version == "":
		trigger = "the account has no model yet"
	case measured.Accuracy != nil && *measured.Accuracy < c.Threshold:
		trigger = fmt.Sprintf("the accuracy of %.2f is below the threshold of %.2f", *measured.Accuracy, c.Threshold)
	case measured.Drift:
		trigger = "drift: " + measured.DriftWhy
	}
	if trigger == "" {
		reason := fmt.Sprintf("not needed: no drift, and the accuracy is not below the threshold of %.2f", c.Threshold)
		if measured.Accuracy == nil {
			reason = "not needed as far as is known: the accuracy could not be computed, and there is no drift"
		}
		return learning.Work{Reason: reason, Write: func(context.Context, pgx.Tx) (any, error) { return retrained{Champion: version}, nil }}, nil
	}
	challenge, err := s.oracle.Challenge(ctx, c.Tenant, c.Account, vectors)
	if err != nil {
		return learning.Work{}, err
	}
	worse, by := false, ""
	if version != "" && !challenge.Same() && !challenge.Compared.Worse {
		if degraded, gain := challenge.Degraded(); degraded {
			worse, by = true, fmt.Sprintf("the champion is demoted: on the newest ads it is %.3f nats an ad (error %.3f) worse than their plain average", -gain.Mean, gain.Error)
		}
	}
	return learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
		t, err := challenge.Register(ctx, tx, worse, by)
		if err != nil {
			return nil, err
		}
		r := retrained{
			Triggered: true, Trigger: trigger, Trained: t.Version, Champion: t.Champion, Promoted: t.Promoted && t.Champion != version,
			Verdict: t.Verdict,
			HeldOut: t.Compared.Ads, CTRGain: t.Compared.CTR.Mean, CTRError: t.Compared.CTR.Error, Gain: t.Compared.Value.Mean,
			GainError: t.Compared.Value.Error,
		}
		if r.Promoted {
			r.Demoted = version
		}
		return r, nil
	}}, nil
}

// champion returns the version that serves the account, "" for none.
func (s *steps) champion(ctx context.Context, tx pgx.Tx, account string) (version string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce((SELECT version FROM gv.model_registry WHERE tenant_id = gv.tenant() AND account_id = $1 AND name = 'oracle'
		       AND role = 'champion'), '')`,
		account).Scan(&version)
	if err != nil {
		return "", fmt.Errorf("look up the champion of account %s: %w", account, err)
	}
	return version, nil
}
