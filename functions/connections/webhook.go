package connections

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
	"github.com/geminivideo/geminivideo/shared/webhook"
	"github.com/geminivideo/geminivideo/shared/webhookconn"
)

// Webhook is the tenant's webhook as it is shown.
type Webhook struct {
	Configured          bool       `json:"configured" doc:"Whether there is one at all."`
	Enabled             bool       `json:"enabled" doc:"Whether notices are sent."`
	URL                 string     `json:"url,omitempty"`
	Kinds               []string   `json:"kinds" nullable:"false" doc:"The kinds of notices that are sent; empty: all."`
	AllKinds            []string   `json:"all_kinds" nullable:"false" doc:"What can be chosen from."`
	SecretSetAt         *time.Time `json:"secret_set_at,omitempty"`
	PreviousSecretUntil *time.Time `json:"previous_secret_until,omitempty" doc:"Until then the secret before signs too."`
	DisabledAt          *time.Time `json:"disabled_at,omitempty"`
	DisabledReason      string     `json:"disabled_reason,omitempty"`
	LastDeliveredAt     *time.Time `json:"last_delivered_at,omitempty"`
	LastFailedAt        *time.Time `json:"last_failed_at,omitempty"`
	LastError           string     `json:"last_error,omitempty" doc:"Why the last delivery failed; absent while they succeed."`
	FailingSince        *time.Time `json:"failing_since,omitempty" doc:"Since when every delivery has failed; after a week the webhook is switched off."`
	UpdatedAt           *time.Time `json:"updated_at,omitempty"`
	UpdatedBy           string     `json:"updated_by,omitempty"`
}

type webhookOutput struct {
	Body struct {
		Webhook
		Secret string `json:"secret,omitempty" doc:"Signs the notices by Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature) and, until the end of 2027, as before: X-Geminivideo-Signature is v1= and HMAC-SHA256 in hexadecimal digits, keyed with this, over X-Geminivideo-Timestamp, a dot and the body; two of them, with a comma between, while a secret is rotated. X-Geminivideo-Id is the same in every delivery of one notice. Shown here once, when it is made."`
	}
}

func (f *function) getWebhook(ctx context.Context, _ *struct{}) (*webhookOutput, error) {
	out := &webhookOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		row, err := webhookconn.Read(ctx, tx)
		out.Body.Webhook = webhookShown(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type webhookInput struct {
	Body struct {
		URL          string   `json:"url" minLength:"1" maxLength:"2000" doc:"Where notices are posted: https, on the public internet."`
		Kinds        []string `json:"kinds,omitempty" maxItems:"50" doc:"The kinds of notices that are wanted; absent or empty: all."`
		RotateSecret bool     `json:"rotate_secret,omitempty" doc:"Makes a new secret; the one before signs beside it for 24 hours."`
		Disabled     bool     `json:"disabled,omitempty" doc:"Sends nothing until the webhook is set again without it."`
	}
}

// setWebhook is what is kept of an answer: the secret by its version's name.
type setWebhook struct {
	Webhook
	Version string
}

func (f *function) putWebhook(ctx context.Context, in *webhookInput) (*webhookOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject)
	if answer, found, err := kept[setWebhook](ctx, f); err != nil || found {
		return f.withSecret(ctx, answer, err)
	}
	if rule := f.Webhook.Check(in.Body.URL); rule != "" {
		return nil, fault.Field("body.url", rule)
	}
	for i, kind := range in.Body.Kinds {
		if !slices.Contains(notice.Kinds, kind) {
			return nil, fault.Field("body.kinds["+itoa(i)+"]", "is no kind of notice: GET this address lists them as all_kinds")
		}
	}
	var row webhookconn.Webhook
	err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) (err error) {
		if err = known(ctx, tx); err == nil {
			row, err = webhookconn.Read(ctx, tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	set := webhookconn.Setting{
		URL: in.Body.URL, Kinds: unique(in.Body.Kinds), Overlap: standardOverlap, Disabled: in.Body.Disabled, Who: id.Who(),
	}
	if row.Secret == "" || in.Body.RotateSecret {
		if set.Secret, err = f.store(ctx, id.Tenant, "webhook-secret", standardwebhook.NewSecret()); err != nil {
			return nil, err
		}
	}
	var retired []string
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer setWebhook, err error) {
		var row webhookconn.Webhook
		row, retired, err = webhookconn.Save(ctx, tx, set)
		return setWebhook{webhookShown(row), set.Secret}, err
	})
	if err == nil {
		if answer.Version != set.Secret { // a twin of this request was faster
			retired = append(retired, set.Secret)
		}
		f.retire(ctx, id.Tenant, retired...)
	}
	return f.withSecret(ctx, answer, err)
}

// withSecret reads the new secret from where it is kept, so that a repeat of the
// request is answered alike and the secret stands in no table.
func (f *function) withSecret(ctx context.Context, answer setWebhook, err error) (*webhookOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &webhookOutput{}
	out.Body.Webhook = answer.Webhook
	if answer.Version != "" {
		if out.Body.Secret, err = f.Vault.Get(ctx, answer.Version); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func unique(kinds []string) []string {
	kinds = append([]string{}, kinds...)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

type testOutput struct{ Body testAnswer }

type testAnswer struct {
	ID        string `json:"id" doc:"The X-Geminivideo-Id that was sent."`
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status,omitempty" doc:"What the receiver answered, where it did not take the notice."`
	Reason    string `json:"reason,omitempty" doc:"Why it was not taken."`
	TookMS    int64  `json:"took_ms"`
}

func (f *function) testWebhook(ctx context.Context, _ *struct{}) (*testOutput, error) {
	id := auth.From(ctx)
	if answer, found, err := kept[testAnswer](ctx, f); err != nil || found {
		return &testOutput{answer}, err
	}
	var row webhookconn.Webhook
	err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) (err error) { row, err = webhookconn.Read(ctx, tx); return err })
	if err != nil {
		return nil, err
	}
	if row.Secret == "" {
		return nil, fault.NotFoundf("there is no webhook yet: set one with PUT /api/connections/webhook")
	}
	answer, err := f.send(ctx, id.Tenant, row)
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "notice", answer.ID, "delivered", answer.Delivered, "receiver", answer.Status)
	answer, err = idempotency.Run(ctx, f.db, id.Tenant, func(pgx.Tx) (testAnswer, error) { return answer, nil })
	if err != nil {
		return nil, err
	}
	return &testOutput{answer}, nil
}

func (f *function) send(ctx context.Context, tenant string, row webhookconn.Webhook) (testAnswer, error) {
	answer := testAnswer{ID: uuid.NewString()}
	signing, err := f.signing(ctx, row)
	if err != nil {
		return answer, err
	}
	body, err := json.Marshal(notice.Posted{ID: answer.ID, TenantID: tenant, Notice: notice.Notice{
		Kind: notice.WebhookTest, Text: "This is a test of your webhook.", At: time.Now().UTC(),
	}})
	if err != nil {
		return answer, err
	}
	began := time.Now()
	err = f.Webhook.Send(ctx, webhook.Delivery{ID: answer.ID, URL: row.URL, Secrets: signing, Body: body})
	answer.TookMS = time.Since(began).Milliseconds()
	var failure *webhook.Failure
	switch {
	case err == nil:
		answer.Delivered = true
	case errors.As(err, &failure):
		answer.Status, answer.Reason = failure.Status, failure.Reason
	default:
		return answer, err
	}
	return answer, nil
}

// signing returns the secrets that sign now.
func (f *function) signing(ctx context.Context, row webhookconn.Webhook) ([]string, error) {
	var all []string
	for _, name := range row.Signing() {
		secret, err := f.Vault.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	return all, nil
}
