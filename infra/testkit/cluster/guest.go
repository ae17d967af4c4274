package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Attach returns the cluster of dir that some process, perhaps a past one, has
// started, without owning it; an error if it does not answer.
func Attach(ctx context.Context, dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	h, err := findHome(dir)
	if err != nil {
		return nil, fmt.Errorf("attach to cluster of %s: %w", dir, err)
	}
	text, err := os.ReadFile(h.password())
	if err != nil {
		return nil, fmt.Errorf("read superuser's password: %w", err)
	}
	c := &Cluster{home: h, password: strings.TrimSpace(string(text))}
	if c.install, err = installFor(h, Install{}); err != nil {
		return nil, err
	}
	if err := Ping(ctx, c.AdminURL()); err != nil {
		return nil, fmt.Errorf("attach to cluster of %s: %w", dir, err)
	}
	return c, nil
}

// Remove stops and deletes the cluster of dir, if it is one that we made. A
// folder without one is no error.
func Remove(dir string) error {
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	dir, lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	h, err := findHome(dir)
	if errors.Is(err, errNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	return destroy(h)
}

func destroy(h *home) error {
	if _, err := clearOrphans(h.data()); err != nil {
		return err
	}
	return h.remove()
}
