package fakemeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// load reads the file, where there is one.
func (f *Fake) load() error {
	if f.opts.File == "" {
		return nil
	}
	raw, err := os.ReadFile(f.opts.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the fake Meta: %w", err)
	}
	if err := json.Unmarshal(raw, &f.state); err != nil {
		return fmt.Errorf("load the fake Meta from %s: %w", f.opts.File, err)
	}
	return nil
}

// Save writes the state to the file, whole or not at all.
func (f *Fake) Save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.save()
}

// save is Save with f.mu held: what was answered as applied is then in the file.
func (f *Fake) save() error {
	if f.opts.File == "" {
		return nil
	}
	raw, err := json.Marshal(f.state)
	if err == nil {
		err = replace(f.opts.File, raw)
	}
	if err != nil {
		return fmt.Errorf("save the fake Meta: %w", err)
	}
	return nil
}

// replace writes beside the file and renames, so that a crash at any moment
// leaves the old file or the new one.
func replace(name string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
