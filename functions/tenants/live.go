package tenants

import (
	"context"
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type liveTokenOutput struct {
	Body struct {
		Token     string    `json:"token" doc:"A Firebase custom token: signInWithCustomToken takes it."`
		ExpiresAt time.Time `json:"expires_at" doc:"An hour from now."`
		ProjectID string    `json:"project_id"`
		Path      string    `json:"path" doc:"The documents below it are yours to listen to."`
	}
}

// liveToken admits the caller to the tenant's live view in Firestore.
func (f *function) liveToken(ctx context.Context, _ *struct{}) (*liveTokenOutput, error) {
	if f.signer == nil {
		return nil, serve.Problem(http.StatusNotImplemented,
			"there is no live view here: this deployment has no Firestore; ask the same paths again instead")
	}
	who := auth.From(ctx)
	out := &liveTokenOutput{}
	var err error
	out.Body.Token, out.Body.ExpiresAt, err = f.signer.Token(who.Tenant, who.Who(), time.Now())
	out.Body.ProjectID, out.Body.Path = f.signer.Project(), "tenants/"+who.Tenant
	return out, err
}
