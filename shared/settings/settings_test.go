package settings

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type database struct {
	URL  string        `env:"URL, required"`
	Max  int32         `env:"MAX, default=2"`
	Wait time.Duration `env:"WAIT, default=5s"`
}

type config struct {
	Database database
	Origins  []string `env:"ORIGINS"`
	Draws    int      `env:"DRAWS, default=256"`
	Secret   string   `env:"SECRET, required"`
}

func TestSettingsAreFilledWithTheirDefaults(t *testing.T) {
	t.Parallel()
	got, err := from(t, map[string]string{"URL": "postgres://x", "SECRET": "s", "ORIGINS": "https://a,https://b", "WAIT": "1m"})
	want := config{Database: database{"postgres://x", 2, time.Minute}, Origins: []string{"https://a", "https://b"}, Draws: 256, Secret: "s"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestEverythingWrongIsSaidAtOnceAndNoValue(t *testing.T) {
	t.Parallel()
	_, err := from(t, map[string]string{"MAX": "hunter2", "WAIT": "hunter3", "DRAWS": "9999999999999999999999"})
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{"URL is missing", "SECRET is missing", "MAX has the wrong form", "WAIT has the wrong form", "DRAWS has the wrong form"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	for _, value := range []string{"hunter", "99999"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("it quotes a value: %v", err)
		}
	}
}

// Not parallel: it points the process's secrets at a server of its own.
func TestAResourceNameIsReplacedByItsSecret(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, vault{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	t.Setenv("SECRETS_ENDPOINT", listener.Addr().String())
	got, err := from(t, map[string]string{"URL": "projects/p/secrets/url", "SECRET": "projects/p/secrets/url/versions/3"})
	if err != nil || got.Database.URL != "hunter2 of projects/p/secrets/url/versions/latest" || got.Secret != "hunter2 of projects/p/secrets/url/versions/3" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = from(t, map[string]string{"URL": "projects/p/secrets/none", "SECRET": "projects/p/secrets/url/not-a-name"})
	if err == nil || !strings.Contains(err.Error(), "URL: read secret projects/p/secrets/none") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	_, err = from(t, map[string]string{"URL": "u", "SECRET": "s", "DRAWS": "projects/p/secrets/url"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret of the wrong form: %v", err)
	}
}

type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
}

func (vault) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	if !strings.HasPrefix(r.GetName(), "projects/p/secrets/url/") {
		return nil, status.Error(codes.NotFound, "no such secret")
	}
	return &secretmanagerpb.AccessSecretVersionResponse{Payload: &secretmanagerpb.SecretPayload{Data: []byte("hunter2 of " + r.GetName())}}, nil
}

func from(t *testing.T, env map[string]string) (config, error) {
	t.Helper()
	return load[config](t.Context(), envconfig.MapLookuper(env))
}
