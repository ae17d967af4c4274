package ledger

import (
	"context"
	"encoding/json"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// ModelKind marks a ModelChange among the messages of crm-events.
const ModelKind = "attribution_model"

// ModelChange asks for the deals of an account to be credited again by its
// attribution model, those after a deal of a portal.
type ModelChange struct {
	Kind      string `json:"kind"`
	AccountID string `json:"account_id"`
	PortalID  int64  `json:"portal_id"`
	DealID    int64  `json:"deal_id"`
}

// CreditAccount has all of an account's deals credited again, beside the change of
// its attribution model.
func CreditAccount(ctx context.Context, tx pgx.Tx, account string) error {
	return PutModelChange(ctx, tx, ModelChange{AccountID: account, PortalID: math.MinInt64})
}

// PutModelChange writes the message c.
func PutModelChange(ctx context.Context, tx pgx.Tx, c ModelChange) error {
	c.Kind = ModelKind
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return outbox.Put(ctx, tx, message.Message{Topic: "crm-events", Data: data})
}
