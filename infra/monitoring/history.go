package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// cycle is what the check reads of a learning cycle.
type cycle struct {
	ID     string `json:"cycle_id"`
	Status string `json:"status"`
	Steps  []struct {
		Reason    string   `json:"reason"`
		Predicted int      `json:"predicted"`
		Accuracy  *float64 `json:"accuracy"`
		Judged    int      `json:"judged"`
	} `json:"steps"`
}

// judgePredictions gives the account predictions whose outcomes have arrived: a first
// cycle predicts its ads, the predictions' dates are moved to before the ads' first day,
// 30 days ago, and a second cycle judges them by what the ads did since.
func (s *system) judgePredictions(ctx context.Context, database string) error {
	first, err := s.learn(ctx)
	if err != nil {
		return err
	}
	err = asOwner(ctx, database, func(conn *pgx.Conn) error {
		moved, err := conn.Exec(ctx, `
			UPDATE gv.predictions SET made_at = made_at - interval '31 days', from_impressions = 0, from_clicks = 0, from_spend_minor = 0,
			       from_value_minor = 0
			WHERE  state = 'open'`)
		if err == nil && moved.RowsAffected() == 0 {
			err = fmt.Errorf("cycle %s predicted nothing: %s", first.ID, first.Steps[0].Reason)
		}
		return err
	})
	if err != nil {
		return err
	}
	second, err := s.learn(ctx)
	if err != nil {
		return err
	}
	measured := second.Steps[1]
	if measured.Accuracy == nil {
		return fmt.Errorf("cycle %s has no accuracy: %s", second.ID, measured.Reason)
	}
	fmt.Printf("a learning cycle judged %d predictions of %d days ago: accuracy %.2f\n", measured.Judged, 31, *measured.Accuracy)
	return nil
}

// learn runs a learning cycle of the account to its end.
func (s *system) learn(ctx context.Context) (c cycle, err error) {
	const path = "/api/ml/self-learning-cycle"
	text, err := s.ask(ctx, "POST", path, "TOKEN", fmt.Sprintf(`{"account_id": %q}`, s.env["ACCOUNT_ID"]))
	for deadline := time.Now().Add(patience); err == nil; text, err = s.ask(ctx, "GET", path+"/"+c.ID, "TOKEN", "") {
		if err = json.Unmarshal([]byte(text), &c); err != nil || c.ID == "" || len(c.Steps) < 2 {
			return c, errors.Join(err, fmt.Errorf("a learning cycle answers %s", text))
		}
		switch {
		case c.Status == "completed":
			return c, nil
		case c.Status != "running" || time.Now().After(deadline):
			return c, fmt.Errorf("learning cycle %s is %s", c.ID, c.Status)
		}
		time.Sleep(time.Second)
	}
	return c, err
}
