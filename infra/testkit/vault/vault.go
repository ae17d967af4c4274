// Package vault stands in for Google Secret Manager on one machine: its gRPC
// service over a file that only its owner can read. The local system uses it,
// and so do the tests.
package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"

	"github.com/geminivideo/geminivideo/shared/secrets"
)

// Marker begins secrets that have no shape of their own: `infra/local test` looks for it
// in the logs of all tests.
const Marker = "never-in-a-log: "

// Server is a running vault.
type Server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	file string // empty: kept in memory only
	grpc *grpc.Server
	addr string

	mu      sync.Mutex
	secrets map[string]*secret // by resource name (projects/P/secrets/S)
	before  func(method string) error
}

// secret is one secret's versions, oldest first, and the numbers of those that
// are disabled.
type secret struct {
	Versions []string `json:"versions"`
	Disabled []int    `json:"disabled,omitempty"`
}

// UnmarshalJSON also reads a bare list of versions, as files of before have it.
func (s *secret) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &s.Versions)
	}
	type plain secret
	return json.Unmarshal(data, (*plain)(s))
}

// Start serves the secrets of file, made when first written, on a loopback
// address. An empty file keeps them in memory.
func Start(file string) (*Server, error) {
	s := &Server{file: file, secrets: map[string]*secret{}}
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	if file != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &s.secrets)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the local vault: %w", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the local vault: %w", err)
	}
	s.addr = l.Addr().String()
	secretmanagerpb.RegisterSecretManagerServiceServer(s.grpc, s)
	go func() { _ = s.grpc.Serve(l) }() // ends with Close
	return s, nil
}

// New starts a vault in memory for a test and returns it with a store that reads it.
func New(t testing.TB) (*Server, *secrets.Store) {
	t.Helper()
	s, err := Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, secrets.New(secrets.Insecure(s.addr)...)
}

// Addr is the vault's host:port, for SECRETS_ENDPOINT.
func (s *Server) Addr() string { return s.addr }

// Close stops the vault.
func (s *Server) Close() { s.grpc.Stop() }

// Before has do called before every call, with its name such as
// AddSecretVersion: an error that it returns is the answer.
func (s *Server) Before(do func(method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = do
}

func (s *Server) intercept(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(path.Base(info.FullMethod)); err != nil {
			return nil, err
		}
	}
	return handle(ctx, r)
}

// Set adds a version to the secret called name (projects/P/secrets/S), unless
// that is its latest already.
func (s *Server) Set(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.secrets[name]
	if held == nil {
		held = &secret{}
		s.secrets[name] = held
	}
	if n := len(held.Versions); n > 0 && held.Versions[n-1] == value {
		return nil
	}
	held.Versions = append(held.Versions, value)
	return s.save()
}

// Versions returns the names of the secret's versions that are enabled, oldest
// first; none where there is no such secret.
func (s *Server) Versions(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var enabled []string
	if held := s.secrets[name]; held != nil {
		for n := range held.Versions {
			if !slices.Contains(held.Disabled, n+1) {
				enabled = append(enabled, versionName(name, n+1))
			}
		}
	}
	return enabled
}

func (s *Server) save() error {
	if s.file == "" {
		return nil
	}
	data, err := json.Marshal(s.secrets)
	if err != nil {
		return err
	}
	next := s.file + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.file)
}
