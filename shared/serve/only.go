package serve

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/fault"
)

type onlyKey struct{}

// OnlyTenant returns the tenant that a scheduled run is for, "" for all: a tenant's
// own schedule names it in the request's body.
func OnlyTenant(ctx context.Context) string {
	only, _ := ctx.Value(onlyKey{}).(string)
	return only
}

// ForTenant returns ctx for a run of one tenant alone.
func ForTenant(ctx context.Context, tenant string) context.Context {
	return context.WithValue(ctx, onlyKey{}, tenant)
}

// maxTick is how large the body of a scheduled request may be.
const maxTick = 4 << 10

// only reads whom a scheduled request is for. A body that names no tenant, as Cloud
// Scheduler sends of a job of ours for all tenants, is for all.
func only(r *http.Request) (*http.Request, error) {
	if r.Body == nil {
		return r, nil
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxTick))
	if err != nil || len(data) == 0 {
		return r, nil //nolint:nilerr // the run is due whatever became of its body
	}
	var body struct {
		Tenant string `json:"tenant_id"`
	}
	if json.Unmarshal(data, &body) != nil || body.Tenant == "" {
		return r, nil
	}
	id, err := uuid.Parse(body.Tenant)
	if err != nil {
		return r, fault.Field("body.tenant_id", "must be a UUID")
	}
	return r.WithContext(ForTenant(r.Context(), id.String())), nil
}
