package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// initialise makes the data folder anew. What is there is of no worth: an
// initdb that was cut short, or a throw-away cluster after a hard stop.
func (c *Cluster) initialise(ctx context.Context, o Options) error {
	h := c.home
	in := o.Install
	if in.Bin == "" {
		var err error
		if in, err = Find(); err != nil {
			return err
		}
	}
	h.Complete = false
	if err := h.save(); err != nil {
		return err
	}
	password := rand.Text()
	if err := writeFile(h.password(), []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	// C.UTF-8 sorts by code point as C does, and knows upper and lower case
	// beyond ASCII; not every system has it.
	err := c.initdb(ctx, in, password, "C.UTF-8")
	if err != nil && ctx.Err() == nil {
		err = c.initdb(ctx, in, password, "C")
	}
	if err != nil {
		_ = os.RemoveAll(h.data())
		return err
	}
	h.Complete = true
	return h.save()
}

func (c *Cluster) initdb(ctx context.Context, in Install, password, ctype string) error {
	ctx, cancel := context.WithTimeout(ctx, initWait)
	defer cancel()
	h := c.home
	if err := os.RemoveAll(h.data()); err != nil {
		return fmt.Errorf("clear data folder: %w", err)
	}
	if err := os.Mkdir(h.data(), 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	// initdb runs as the cluster's owner, who cannot read our password file.
	pwfile := filepath.Join(h.path, "password.init")
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write password for initdb: %w", err)
	}
	defer os.Remove(pwfile)
	args := []string{
		"-D", h.data(), "-U", h.Superuser, "--pwfile", pwfile, "--auth=scram-sha-256",
		"-E", "UTF8", "--lc-collate=C", "--lc-ctype=" + ctype,
	}
	if h.Throwaway {
		args = append(args, "--no-sync")
	}
	cmd, err := h.command(ctx, filepath.Join(in.Bin, "initdb"), args...)
	if err != nil {
		return err
	}
	if owner := cmd.SysProcAttr.Credential; owner != nil {
		for _, path := range []string{h.data(), pwfile} {
			if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
				return fmt.Errorf("give %s to the server's user: %w", path, err)
			}
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
