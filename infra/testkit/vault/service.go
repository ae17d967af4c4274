package vault

import (
	"context"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What Secret Manager takes as a secret's id, and at most as a payload.
var secretID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const maxPayload = 64 << 10

// CreateSecret makes a secret without versions.
func (s *Server) CreateSecret(_ context.Context, r *secretmanagerpb.CreateSecretRequest) (*secretmanagerpb.Secret, error) {
	if !secretID.MatchString(r.GetSecretId()) || r.GetSecret().GetReplication() == nil {
		return nil, status.Error(codes.InvalidArgument, "A secret needs an id of letters, digits, dashes and underscores, and a replication.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.GetParent() + "/secrets/" + r.GetSecretId()
	if s.secrets[name] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", name)
	}
	s.secrets[name] = &secret{}
	return &secretmanagerpb.Secret{Name: name}, s.save()
}

// GetSecret answers whether a secret exists.
func (s *Server) GetSecret(_ context.Context, r *secretmanagerpb.GetSecretRequest) (*secretmanagerpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets[r.GetName()] == nil {
		return nil, missing(r.GetName())
	}
	return &secretmanagerpb.Secret{Name: r.GetName()}, nil
}

// AddSecretVersion adds a version to a secret.
func (s *Server) AddSecretVersion(_ context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	data := r.GetPayload().GetData()
	if sum := r.GetPayload().DataCrc32C; len(data) == 0 || len(data) > maxPayload || sum != nil && *sum != checksum(data) {
		return nil, status.Error(codes.InvalidArgument, "The payload is empty, too large, or does not fit its checksum.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.secrets[r.GetParent()]
	if held == nil {
		return nil, missing(r.GetParent())
	}
	held.Versions = append(held.Versions, string(data))
	return &secretmanagerpb.SecretVersion{
		Name: versionName(r.GetParent(), len(held.Versions)), State: secretmanagerpb.SecretVersion_ENABLED,
	}, s.save()
}

// AccessSecretVersion returns a secret's version, by number or "latest", which is
// the last one made, enabled or not.
func (s *Server) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, held, n := s.find(r.GetName())
	if n == 0 {
		return nil, missing(r.GetName())
	}
	if slices.Contains(held.Disabled, n) {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DISABLED state.", versionName(name, n))
	}
	data := []byte(held.Versions[n-1])
	sum := checksum(data)
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: versionName(name, n), Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

// DisableSecretVersion makes a version unreadable; once more changes nothing.
func (s *Server) DisableSecretVersion(_ context.Context, r *secretmanagerpb.DisableSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, held, n := s.find(r.GetName())
	if n == 0 {
		return nil, missing(r.GetName())
	}
	if !slices.Contains(held.Disabled, n) {
		held.Disabled = append(held.Disabled, n)
	}
	return &secretmanagerpb.SecretVersion{Name: versionName(name, n), State: secretmanagerpb.SecretVersion_DISABLED}, s.save()
}

// find returns the secret of a version's name and the version's number, 0 where
// there is none.
func (s *Server) find(version string) (name string, held *secret, n int) {
	name, number, _ := strings.Cut(version, "/versions/")
	if held = s.secrets[name]; held == nil {
		return name, nil, 0
	}
	n = len(held.Versions)
	if number != "latest" {
		n, _ = strconv.Atoi(number)
	}
	if n < 1 || n > len(held.Versions) {
		return name, held, 0
	}
	return name, held, n
}

func versionName(secret string, n int) string { return fmt.Sprintf("%s/versions/%d", secret, n) }

func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

func missing(name string) error {
	return status.Errorf(codes.NotFound, "Secret [%s] not found or has no versions.", name)
}
