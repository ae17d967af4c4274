// Package secrets reads credentials from Secret Manager by resource name, and
// writes those that a tenant brings. What it reads it caches for a minute, so that
// a rotation is seen without a restart.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/telemetry/rpc"
)

const (
	cacheFor = time.Minute
	deadline = 10 * time.Second
)

// Error says which secret could not be read or written; it never holds a secret.
type Error struct {
	Name  string
	Write bool
	Cause error
}

func (e *Error) Error() string {
	if e.Write {
		return fmt.Sprintf("write secret %s: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("read secret %s: %v", e.Name, e.Cause)
}

// Unwrap returns a fault of the kind Unavailable: a secret that cannot be read or
// written now is somebody else's trouble, and may be in a moment.
func (e *Error) Unwrap() error {
	if e.Write {
		return fault.Down("a credential cannot be stored", e.Cause)
	}
	return fault.Down("a credential cannot be read", e.Cause)
}

// Store reads and writes secrets. Its client is made on first use.
type Store struct {
	client func() (*secretmanager.Client, error)
	now    func() time.Time

	mu    sync.Mutex
	cache map[string]entry
}

type entry struct {
	value string
	until time.Time
}

// New returns a store whose client is made with opts.
func New(opts ...option.ClientOption) *Store {
	s := &Store{now: time.Now, cache: map[string]entry{}}
	var (
		mu     sync.Mutex
		client *secretmanager.Client
	)
	s.client = func() (*secretmanager.Client, error) { // like sync.OnceValues, but a failure is tried again
		mu.Lock()
		defer mu.Unlock()
		if client != nil {
			return client, nil
		}
		made, err := secretmanager.NewClient(context.Background(), append(opts, rpc.Measured("secretmanager"))...)
		if err == nil {
			client = made
		}
		return made, err
	}
	return s
}

// Default returns the process's store. SECRETS_ENDPOINT, a host:port without
// TLS, points it at a local server instead of Google's.
var Default = sync.OnceValue(func() *Store {
	endpoint := os.Getenv("SECRETS_ENDPOINT")
	if endpoint == "" {
		return New()
	}
	return New(Insecure(endpoint)...)
})

// Insecure returns the options of a client for a local server without TLS.
func Insecure(endpoint string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// Get returns the secret called name (projects/P/secrets/S, with or without
// /versions/V; the latest version where none is named). A failure is an *Error.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	if !strings.Contains(name, "/versions/") {
		name += "/versions/latest"
	}
	s.mu.Lock()
	cached, ok := s.cache[name]
	s.mu.Unlock()
	if ok && s.now().Before(cached.until) {
		return cached.value, nil
	}
	value, err := s.read(ctx, name)
	if err != nil {
		return "", &Error{Name: name, Cause: err}
	}
	s.mu.Lock()
	s.cache[name] = entry{value, s.now().Add(cacheFor)}
	s.mu.Unlock()
	return value, nil
}

// Forget drops what is cached of name, so that the next Get reads it again: for a
// credential that has just been refused.
func (s *Store) Forget(name string) {
	if !strings.Contains(name, "/versions/") {
		name += "/versions/latest"
	}
	s.mu.Lock()
	delete(s.cache, name)
	s.mu.Unlock()
}

func (s *Store) read(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return "", err
	}
	got, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: name})
	if err != nil {
		return "", err
	}
	return payload(got)
}

func payload(got *secretmanagerpb.AccessSecretVersionResponse) (string, error) {
	data := got.GetPayload().GetData()
	if sum := got.GetPayload().DataCrc32C; sum != nil && *sum != checksum(data) {
		return "", errors.New("its checksum does not fit")
	}
	return string(data), nil
}

func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}
