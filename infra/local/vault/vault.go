// Package vault stands in for Google Secret Manager on one machine: its gRPC
// service over a file that only its owner can read. The local system uses it,
// and so do the tests.
package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/shared/secrets"
)

// Server is a running vault.
type Server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	file string // empty: kept in memory only
	grpc *grpc.Server
	addr string

	mu sync.Mutex
	// versions holds each secret's versions, oldest first, by resource name
	// (projects/P/secrets/S).
	versions map[string][]string
}

// Start serves the secrets of file, made when first written, on a loopback
// address. An empty file keeps them in memory.
func Start(file string) (*Server, error) {
	s := &Server{file: file, grpc: grpc.NewServer(), versions: map[string][]string{}}
	if file != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &s.versions)
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

// Set adds a version to the secret called name (projects/P/secrets/S), unless
// that is its latest already.
func (s *Server) Set(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.versions[name]
	if len(held) > 0 && held[len(held)-1] == value {
		return nil
	}
	s.versions[name] = append(held, value)
	return s.save()
}

func (s *Server) save() error {
	if s.file == "" {
		return nil
	}
	data, err := json.Marshal(s.versions)
	if err != nil {
		return err
	}
	next := s.file + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.file)
}

// CreateSecret makes a secret without versions.
func (s *Server) CreateSecret(_ context.Context, r *secretmanagerpb.CreateSecretRequest) (*secretmanagerpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.GetParent() + "/secrets/" + r.GetSecretId()
	if _, ok := s.versions[name]; ok {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", name)
	}
	s.versions[name] = []string{}
	return &secretmanagerpb.Secret{Name: name}, s.save()
}

// GetSecret answers whether a secret exists.
func (s *Server) GetSecret(_ context.Context, r *secretmanagerpb.GetSecretRequest) (*secretmanagerpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.versions[r.GetName()]; !ok {
		return nil, missing(r.GetName())
	}
	return &secretmanagerpb.Secret{Name: r.GetName()}, nil
}

// AddSecretVersion adds a version to a secret.
func (s *Server) AddSecretVersion(_ context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.versions[r.GetParent()]
	if !ok {
		return nil, missing(r.GetParent())
	}
	s.versions[r.GetParent()] = append(held, string(r.GetPayload().GetData()))
	return &secretmanagerpb.SecretVersion{Name: fmt.Sprintf("%s/versions/%d", r.GetParent(), len(held)+1)}, s.save()
}

// AccessSecretVersion returns a secret's version, by number or "latest".
func (s *Server) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, version, _ := strings.Cut(r.GetName(), "/versions/")
	held := s.versions[name]
	n := len(held)
	if version != "latest" {
		n, _ = strconv.Atoi(version)
	}
	if n < 1 || n > len(held) {
		return nil, missing(r.GetName())
	}
	data := []byte(held[n-1])
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name:    fmt.Sprintf("%s/versions/%d", name, n),
		Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

func missing(name string) error {
	return status.Errorf(codes.NotFound, "Secret [%s] not found or has no versions.", name)
}
