package chroot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var zeroTime time.Time

// probe asks the mounted base what its Python and rpm really are.
func (w *worker) probe(ctx context.Context) (baseInfo, error) {
	info := baseInfo{ID: w.BaseID, Target: w.Target}
	text, err := w.output(ctx, sandboxed{args: []string{w.Target.Python.Executable, "-c", "import platform; print(platform.python_version())"}})
	if err != nil {
		return info, fmt.Errorf("ask the base root's Python (%s): %w", w.Target.Python.Executable, err)
	}
	info.Target.Python.Version = strings.TrimSpace(text)
	text, err = w.output(ctx, sandboxed{args: []string{"rpm", "--version"}})
	if err != nil {
		return info, fmt.Errorf("ask the base root's rpm: %w", err)
	}
	if f := strings.Fields(text); len(f) > 0 {
		info.Target.RPM.Version = f[len(f)-1]
	}
	return info, nil
}

// writeBase writes base.json, which makes a base complete.
func writeBase(dir string, info baseInfo) error {
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("write base root: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "base.json"), text, 0o644); err != nil {
		return fmt.Errorf("write base root: %w", err)
	}
	return nil
}
