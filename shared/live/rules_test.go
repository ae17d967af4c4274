package live_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/terraform"
	"github.com/geminivideo/geminivideo/infra/testkit/emulator"
	"github.com/geminivideo/geminivideo/shared/live"
)

const project = "demo-live"

// start starts the emulator with the rules that Terraform deploys; where the machine
// has none it says so, and the text of the rules is looked at alone.
func start(t *testing.T) string {
	t.Helper()
	rules := terraform.FirestoreRules
	e, err := emulator.StartFirestore(rules)
	if errors.Is(err, emulator.ErrAbsent) {
		t.Logf("NOT TESTED against Firestore: %v", err)
		if !regexp.MustCompile(`allow get, list: if request\.auth != null && request\.auth\.token\.tenant_id == tenant;\s+allow write: if false;`).MatchString(rules) ||
			len(regexp.MustCompile(`\ballow\b`).FindAllString(rules, -1)) != 2 {
			t.Errorf("the rules admit somebody else:\n%s", rules)
		}
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := e.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return e.Addr()
}

// client talks to the emulator as its owner, whom rules do not bind, or as somebody
// who has signed in with claims.
func client(t *testing.T, addr string, claims map[string]any) *firestore.Client {
	t.Helper()
	bearer := "owner"
	if claims != nil {
		bearer = unsigned(t, claims)
	}
	auth := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return call(auth(ctx), method, in, out, cc, o...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(auth(ctx), d, cc, method, o...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	c, err := firestore.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// unsigned is an ID token as the emulator takes it: Firebase's own are signed.
func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": "https://securetoken.google.com/" + project, "aud": project, "sub": "somebody", "user_id": "somebody",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "firebase": map[string]any{"sign_in_provider": "custom"},
	}
	for name, value := range claims {
		all[name] = value
	}
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(all) + "."
}

// TestATenantListensToItsOwnProgressAndToNobodyElses runs alone: the emulator's address
// is the process's.
func TestATenantListensToItsOwnProgressAndToNobodyElses(t *testing.T) {
	addr := start(t)
	if addr == "" {
		return
	}
	t.Setenv("FIRESTORE_EMULATOR_HOST", addr)
	v := live.Open(t.Context(), live.Config{Project: project})
	mine, theirs := client(t, addr, map[string]any{"tenant_id": tenant}), client(t, addr, map[string]any{"tenant_id": other})
	path := live.Path(tenant, live.Cycle, "c1")

	// A frontend listens before anything is there, and hears of each change.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	heard := mine.Doc(path).Snapshots(ctx)
	defer heard.Stop()
	if first, err := heard.Next(); err != nil || first.Exists() {
		t.Fatalf("before anything is there: %v %v", first, err)
	}
	put := func(n int, ended bool) {
		p := step(n, ended)
		p.Data["steps"] = []map[string]any{{"step": n, "status": p.Status}}
		v.Put(tenant, p)
	}
	put(1, false)
	for status := ""; status != "running"; {
		next, err := heard.Next()
		if err != nil {
			t.Fatal(err)
		}
		status, _ = next.Data()["status"].(string)
	}
	put(2, true)
	for status := ""; status != "completed"; {
		next, err := heard.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, timed := next.Data()["expires_at"].(time.Time); !timed {
			t.Errorf("expires_at is no time: Firestore's TTL policy would pass it over: %v", next.Data())
		}
		status, _ = next.Data()["status"].(string)
	}
	if all, err := mine.Collection("tenants/" + tenant + "/progress").Documents(ctx).GetAll(); err != nil || len(all) != 1 {
		t.Errorf("listed %d, %v", len(all), err)
	}

	refused := func(what string, err error) {
		t.Helper()
		if code := status.Code(err); code != codes.PermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := theirs.Doc(path).Get(ctx)
	refused("another tenant reads", err)
	_, err = theirs.Collection("tenants/" + tenant + "/progress").Documents(ctx).GetAll()
	refused("another tenant lists", err)
	_, err = theirs.CollectionGroup("progress").Documents(ctx).GetAll()
	refused("another tenant asks across tenants", err)
	_, err = client(t, addr, map[string]any{}).Doc(path).Get(ctx)
	refused("somebody without a tenant reads", err)
	_, err = mine.Doc(path).Set(ctx, map[string]any{"status": "forged"})
	refused("the tenant writes", err)
	_, err = mine.Doc(path).Delete(ctx)
	refused("the tenant deletes", err)
	_, err = mine.Doc("secrets/all").Get(ctx)
	refused("the tenant reads elsewhere", err)
	if code := anonymous(ctx, t, addr, path); code != http.StatusForbidden {
		t.Errorf("nobody reads: %d", code)
	}
}

// anonymous reads a document without any token.
func anonymous(ctx context.Context, t *testing.T, addr, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v1/projects/%s/databases/(default)/documents/%s", addr, project, path), bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}
