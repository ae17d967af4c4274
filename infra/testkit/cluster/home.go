package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// As root the cluster cannot live in DIR: the postgres user may not be able to
// reach it. It lives below rootBase then, and DIR keeps a pointer to it.
const (
	rootBase    = "/var/lib/geminivideo"
	pointerName = "postgres.home"
	lockName    = "postgres.lock"
	madeBy      = "geminivideo shared/cluster"
)

// home is where one cluster's files are, and what its marker file says.
type home struct {
	path string
	marker
}

// marker is the file that makes a cluster ours: nothing without it is ever
// started, changed or removed.
type marker struct {
	MadeBy    string `json:"made_by"`
	Dir       string `json:"dir"`
	Superuser string `json:"superuser"`
	Port      int    `json:"port"`
	Throwaway bool   `json:"throwaway,omitempty"`
	// Complete is set once initdb has finished; before, the data is worth nothing.
	Complete bool `json:"complete"`
}

func (h *home) data() string     { return filepath.Join(h.path, "data") }
func (h *home) log() string      { return filepath.Join(h.path, "server.log") }
func (h *home) password() string { return filepath.Join(h.path, "password") }
func (h *home) markerAt() string { return filepath.Join(h.path, "cluster.json") }
func (h *home) save() error      { return writeJSON(h.markerAt(), h.marker) }

// errNoCluster is returned by findHome for a folder without a cluster.
var errNoCluster = errors.New("no cluster")

// findHome returns the cluster that dir has.
func findHome(dir string) (*home, error) {
	h := &home{path: filepath.Join(dir, "postgres")}
	pointer := filepath.Join(dir, pointerName)
	text, err := os.ReadFile(pointer)
	switch {
	case err == nil:
		h.path = strings.TrimSpace(string(text))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s: %w", pointer, err)
	}
	text, err = os.ReadFile(h.markerAt())
	if errors.Is(err, fs.ErrNotExist) {
		return h, noMarker(h.path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the cluster of %s is in %s and belongs to another user: start as that user or use another folder: %w", dir, h.path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster's marker: %w", err)
	}
	if err := json.Unmarshal(text, &h.marker); err != nil || h.MadeBy != madeBy {
		return nil, fmt.Errorf("%s is not a marker of ours: %w", h.markerAt(), errors.Join(err, fs.ErrInvalid))
	}
	return h, h.follow(dir)
}

// noMarker tells an absent or empty folder from somebody else's.
func noMarker(path string) error {
	inside, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read cluster's folder: %w", err)
	}
	if len(inside) > 0 {
		return fmt.Errorf("%s is not a cluster of ours and not empty: it is left alone", path)
	}
	return errNoCluster
}

// follow accepts a folder that was moved, and refuses one that was copied: two
// folders would share one cluster.
func (h *home) follow(dir string) error {
	if h.Dir == dir {
		return nil
	}
	before, err := os.ReadFile(filepath.Join(h.Dir, pointerName))
	if err == nil && strings.TrimSpace(string(before)) == h.path {
		return fmt.Errorf("%s is a copy of %s, whose cluster it would share: remove %s to begin with an own one",
			dir, h.Dir, filepath.Join(dir, pointerName))
	}
	h.Dir = dir
	return h.save()
}

// makeHome makes the folder and the marker of a new cluster.
func makeHome(dir string, o Options) (*home, error) {
	h := &home{path: filepath.Join(dir, "postgres")}
	h.marker = marker{MadeBy: madeBy, Dir: dir, Superuser: o.Superuser, Throwaway: o.Throwaway}
	base := o.Files
	if base == "" && os.Geteuid() == 0 {
		base = rootBase
	}
	if base != "" {
		if err := os.MkdirAll(base, 0o755); err != nil {
			return nil, fmt.Errorf("make %s: %w", base, err)
		}
		if err := tidy(base, dir); err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(dir))
		// The random part keeps a folder that was moved away, and the one now
		// at its place, apart.
		h.path = filepath.Join(base, hex.EncodeToString(sum[:6])+"-"+strings.ToLower(rand.Text()[:6]))
	}
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the postgres user passes through
	}
	if err := os.MkdirAll(h.path, mode); err != nil {
		return nil, fmt.Errorf("make cluster's folder: %w", err)
	}
	if err := os.Chmod(h.path, mode); err != nil { // whatever the umask
		return nil, fmt.Errorf("open cluster's folder: %w", err)
	}
	if err := h.save(); err != nil {
		return nil, err
	}
	if base != "" {
		if err := writeFile(filepath.Join(dir, pointerName), []byte(h.path+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// tidy looks at clusters below base that no folder points to any more, because
// it was deleted. A server of dir's former cluster is stopped. A throw-away one
// that is not in use is removed; other data stays, for its folder may only have been moved.
func tidy(base, dir string) error {
	markers, err := filepath.Glob(filepath.Join(base, "*", "cluster.json"))
	if err != nil {
		return err
	}
	for _, path := range markers {
		h := &home{path: filepath.Dir(path)}
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &h.marker) != nil || h.MadeBy != madeBy {
			continue // another user's, or none of ours
		}
		pointer, _ := os.ReadFile(filepath.Join(h.Dir, pointerName))
		if strings.TrimSpace(string(pointer)) == h.path {
			continue
		}
		if h.Dir == dir {
			if _, err := clearOrphans(h.data()); err != nil {
				return err
			}
		}
		info, err := os.Stat(path)
		abandoned := err == nil && time.Since(info.ModTime()) > time.Hour // not one that is being made
		if pid, err := postmaster(h.data()); h.Throwaway && abandoned && err == nil && len(serversOf(h.data(), pid)) == 0 {
			if err := os.RemoveAll(h.path); err != nil {
				return fmt.Errorf("remove abandoned cluster: %w", err)
			}
		}
	}
	return nil
}

// remove deletes the cluster; its marker goes last, so that a removal that was
// cut short is still recognised as ours.
func (h *home) remove() error {
	if h.MadeBy != madeBy {
		return fmt.Errorf("%s is not a cluster of ours", h.path)
	}
	for _, path := range []string{h.data(), h.password(), h.log(), h.path, filepath.Join(h.Dir, pointerName)} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove cluster: %w", err)
		}
	}
	return nil
}

// owner is the user that the server runs as, nil for oneself: PostgreSQL
// refuses to run as root.
func (h *home) owner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(h.data()); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}, nil
		}
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres to run it as: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("read ids of user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'), 0o600)
}

// writeFile replaces path in one step: a crash leaves the old text or the new.
func writeFile(path string, text []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, text, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
