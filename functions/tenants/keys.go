package tenants

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Key is a key as it is shown: by its beginning.
type Key struct {
	KeyID     string     `json:"key_id"`
	Kind      string     `json:"kind" enum:"publishable,server" doc:"publishable: stands in web pages. server: a secret of your server, which may say when and from where a click came."`
	Prefix    string     `json:"prefix" doc:"How the key begins."`
	Label     string     `json:"label"`
	Origins   []string   `json:"origins" nullable:"false" doc:"Web origins that may use it; empty: any."`
	CreatedBy string     `json:"created_by"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedBy string     `json:"revoked_by,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

const keyColumns = `key_id::text, kind, prefix, label, origins, created_by, created_at, coalesce(revoked_by, '') AS revoked_by, revoked_at`

func collectKeys(rows pgx.Rows) ([]Key, error) {
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	for i := range all {
		all[i].CreatedAt = all[i].CreatedAt.UTC()
		if at := all[i].RevokedAt; at != nil {
			utc := at.UTC()
			all[i].RevokedAt = &utc
		}
	}
	return append([]Key{}, all...), err
}

type keysOutput struct {
	Body struct {
		Keys []Key `json:"keys" nullable:"false" doc:"Those in use first, then the newest."`
	}
}

func (f *function) listKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	out := &keysOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, `
			SELECT `+keyColumns+` FROM gv.publishable_keys
			WHERE  tenant_id = gv.tenant() ORDER BY (revoked_at IS NOT NULL), created_at DESC, key_id`)
		if out.Body.Keys, err = collectKeys(rows); err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type keyInput struct {
	Body struct {
		Kind    string   `json:"kind,omitempty" enum:"publishable,server" default:"publishable" doc:"publishable for web pages; server for your own server, which sends it as Authorization: Bearer."`
		Origins []string `json:"origins,omitempty" maxItems:"50" doc:"Web origins that may use a publishable key, such as https://www.example.com; absent or empty: any. A server key has none."`
		Label   string   `json:"label,omitempty" maxLength:"100" doc:"For people."`
	}
}

type keyOutput struct{ Body keyAnswer }

type keyAnswer struct {
	Key
	Secret string `json:"key" doc:"The key itself. It is shown here once; a server key is empty where a request is repeated with its Idempotency-Key."`
}

// maxKeys is how many keys in use a tenant may have.
const maxKeys = 100

// postKey makes a key. A publishable key stands in web pages: that a repeated
// request is answered with it for a day gives nothing away. A server key is a
// secret: nothing but its hash is stored, so a repeat is answered without it.
func (f *function) postKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	id := auth.From(ctx)
	server := in.Body.Kind == "server"
	if server && len(in.Body.Origins) > 0 {
		return nil, fault.Field("body.origins", "must be absent: a server key never comes from a web page")
	}
	origins := make([]string, len(in.Body.Origins))
	for i, text := range in.Body.Origins {
		var ok bool
		if origins[i], ok = originOf(text); !ok {
			return nil, fault.Field("body.origins["+strconv.Itoa(i)+"]",
				"must be a web origin such as https://www.example.com: scheme, host and port, and nothing after them")
		}
	}
	var secret string
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer keyAnswer, err error) {
		secret = ""
		if err := lockMembers(ctx, tx); err != nil {
			return answer, err
		}
		var inUse int
		err = tx.QueryRow(ctx, `SELECT count(*) FROM gv.publishable_keys WHERE tenant_id = gv.tenant() AND revoked_at IS NULL`).Scan(&inUse)
		if err != nil {
			return answer, fmt.Errorf("count keys: %w", err)
		}
		if inUse >= maxKeys {
			return answer, fault.Conflictf("there are %d keys in use already: revoke one first", maxKeys)
		}
		made := newKey(in.Body.Kind)
		rows, _ := tx.Query(ctx, `
			INSERT INTO gv.publishable_keys (tenant_id, kind, key_hash, prefix, origins, label, created_by)
			VALUES (gv.tenant(), @kind, @hash, @prefix, @origins, @label, @who)
			RETURNING `+keyColumns,
			pgx.StrictNamedArgs{
				"kind": in.Body.Kind, "hash": attribution.KeyHash(made), "prefix": made[:10], "origins": origins, "label": in.Body.Label,
				"who": id.Who(),
			})
		stored, err := collectKeys(rows)
		if err != nil {
			return answer, fmt.Errorf("make a %s key: %w", in.Body.Kind, err)
		}
		answer.Key = stored[0]
		if server {
			secret = made
		} else {
			answer.Secret = made
		}
		return answer, nil
	})
	if err != nil {
		return nil, err
	}
	if server {
		answer.Secret = secret
	}
	serve.Note(ctx, "by", id.Subject, "key_id", answer.KeyID, "kind", answer.Kind)
	return &keyOutput{answer}, nil
}

func newKey(kind string) string {
	var raw [20]byte
	_, _ = rand.Read(raw[:]) // never fails
	prefix := "gv_pk_"
	if kind == "server" {
		prefix = "gvs_"
	}
	return prefix + hex.EncodeToString(raw[:])
}

// originOf returns a web origin as browsers send it.
func originOf(text string) (string, bool) {
	u, err := url.Parse(strings.ToLower(strings.TrimSuffix(text, "/")))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsAny(u.Host, "*, ") ||
		u.Scheme+"://"+u.Host != u.String() || len(text) > 300 {
		return "", false
	}
	standard := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, standard), true
}

type revokeInput struct {
	ID string `path:"id" format:"uuid"`
}

type revokeOutput struct{ Body Key }

func (f *function) revokeKey(ctx context.Context, in *revokeInput) (*revokeOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject, "key_id", in.ID)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (Key, error) {
		rows, _ := tx.Query(ctx, `
			UPDATE gv.publishable_keys SET revoked_at = coalesce(revoked_at, now()), revoked_by = coalesce(revoked_by, @who)
			WHERE  tenant_id = gv.tenant() AND key_id = @id::uuid
			RETURNING `+keyColumns, pgx.StrictNamedArgs{"id": in.ID, "who": id.Who()})
		revoked, err := collectKeys(rows)
		switch {
		case err != nil:
			return Key{}, fmt.Errorf("revoke key %s: %w", in.ID, err)
		case len(revoked) == 0:
			return Key{}, fault.NotFoundf("there is no key with this id")
		}
		return revoked[0], nil
	})
	if err != nil {
		return nil, err
	}
	return &revokeOutput{answer}, nil
}
