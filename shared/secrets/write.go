package secrets

import (
	"context"
	"errors"
	"strings"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Put makes value the latest version of the secret called name
// (projects/P/secrets/S), which is made where there is none, with labels, and
// returns the version's name. Where the latest version holds value already it
// returns that: what a caller lost between Put and its own record is found again
// by the next Put. A failure is an *Error.
func (s *Store) Put(ctx context.Context, name, value string, labels map[string]string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	version, err = s.put(ctx, name, value, labels)
	if err != nil {
		return "", &Error{Name: name, Write: true, Cause: err}
	}
	return version, nil
}

func (s *Store) put(ctx context.Context, name, value string, labels map[string]string) (string, error) {
	project, id, ok := strings.Cut(name, "/secrets/")
	if !ok || value == "" {
		return "", errors.New("a secret needs a name such as projects/P/secrets/S, and a value")
	}
	client, err := s.client()
	if err != nil {
		return "", err
	}
	latest, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: name + "/versions/latest"})
	switch status.Code(err) {
	case codes.OK:
		cached, err := payload(latest)
		if err != nil {
			return "", err
		}
		if cached == value {
			return numbered(name, latest.GetName()), nil
		}
	case codes.NotFound:
		if err := create(ctx, client, project, id, labels); err != nil {
			return "", err
		}
	case codes.FailedPrecondition: // disabled or destroyed
	default:
		return "", err
	}
	data := []byte(value)
	sum := checksum(data)
	added, err := client.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
		Parent: name, Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	})
	if err != nil {
		return "", err
	}
	return numbered(name, added.GetName()), nil
}

// create makes the secret; a twin may have been faster, or it has no versions yet.
func create(ctx context.Context, client *secretmanager.Client, project, id string, labels map[string]string) error {
	_, err := client.CreateSecret(ctx, &secretmanagerpb.CreateSecretRequest{
		Parent: project, SecretId: id,
		Secret: &secretmanagerpb.Secret{Labels: labels, Replication: &secretmanagerpb.Replication{
			Replication: &secretmanagerpb.Replication_Automatic_{Automatic: &secretmanagerpb.Replication_Automatic{}},
		}},
	})
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	return err
}

// numbered is the version's name under the secret's own: Google answers with the
// project's number in place of its id.
func numbered(name, version string) string {
	return name + "/versions/" + version[strings.LastIndex(version, "/")+1:]
}

// Disable makes a version (projects/P/secrets/S/versions/V) unreadable; an
// operator can enable it again. One that is not there, or disabled, is no error.
func (s *Store) Disable(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	client, err := s.client()
	if err == nil {
		_, err = client.DisableSecretVersion(ctx, &secretmanagerpb.DisableSecretVersionRequest{Name: version})
	}
	switch status.Code(err) {
	case codes.OK, codes.NotFound, codes.FailedPrecondition:
		s.Forget(version)
		return nil
	}
	return &Error{Name: version, Write: true, Cause: err}
}
