package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/migrations"
)

const (
	templatePrefix = prefix + "template_"
	// Templates of other checkouts are worth keeping for longer than what a
	// killed test left.
	keepTemplate = 7 * 24 * time.Hour
	keepDatabase = 24 * time.Hour
)

// ensureTemplate makes the template of the present migrations, if no process
// has before. It gets its name last: one that was cut short is not taken for a whole one.
func (s *server) ensureTemplate(ctx context.Context, conn *pgx.Conn) error {
	hash, err := migrationsHash()
	if err != nil {
		return err
	}
	rows, _ := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1`, escape(templatePrefix)+`%`+escape("_"+hash))
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for the template database: %w", err)
	}
	if len(found) > 0 {
		s.template = found[0]
		return nil
	}
	s.template = fmt.Sprintf("%s%d_%s", templatePrefix, time.Now().Unix(), hash)
	building := prefix + "building_" + hash
	if err := drop(ctx, conn, building); err != nil {
		return err
	}
	if err := s.create(ctx, building, false); err != nil {
		return err
	}
	if err := s.migrate(ctx, building); err != nil {
		return fmt.Errorf("make the template database: %w", err)
	}
	for _, statement := range []string{
		`ALTER DATABASE ` + quote(building) + ` WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`,
		`ALTER DATABASE ` + quote(building) + ` RENAME TO ` + quote(s.template),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("finish the template database: %w", err)
		}
	}
	return nil
}

func (s *server) migrate(ctx context.Context, database string) error {
	conn, err := pgx.Connect(ctx, s.url(database, nil))
	if err != nil {
		return err
	}
	// Its end is waited for: nobody may be connected to what is cloned.
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = migrations.Apply(ctx, conn)
	return err
}

func migrationsHash() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.Files, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read migrations: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// sweep drops what killed and failed tests left a day ago, and templates of
// migrations that nobody has made again for a week.
func (s *server) sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, _ := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1`, escape(prefix)+`%`)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for left databases: %w", err)
	}
	for _, name := range names {
		if expired(name, time.Now()) {
			if err := drop(ctx, conn, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// expired tells a database's age by its name.
func expired(name string, now time.Time) bool {
	keep := keepDatabase
	rest, isTemplate := strings.CutPrefix(name, templatePrefix)
	if isTemplate {
		keep = keepTemplate
	} else {
		rest = strings.TrimPrefix(name, prefix)
	}
	made, _, _ := strings.Cut(rest, "_")
	unix, err := strconv.ParseInt(made, 10, 64)
	return err == nil && now.Sub(time.Unix(unix, 0)) > keep
}

func drop(ctx context.Context, conn *pgx.Conn, name string) error {
	if strings.HasPrefix(name, templatePrefix) {
		if _, err := conn.Exec(ctx, `ALTER DATABASE `+quote(name)+` IS_TEMPLATE false`); err != nil {
			return fmt.Errorf("release template %s: %w", name, err)
		}
	}
	if _, err := conn.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`); err != nil {
		return fmt.Errorf("drop left database %s: %w", name, err)
	}
	return nil
}

// escape makes text match itself in LIKE.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`).Replace(text)
}
