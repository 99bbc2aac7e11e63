package sdist

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bytes of a built wheel at most.
const maxWheel = 1 << 30

// Wheel has the source tree srcDir built to a wheel and puts it into outDir. It is for
// asking only: a build tool that has no wheel on the index must run before it can
// answer what a build needs.
func (a *Asker) Wheel(ctx context.Context, srcDir string, env HookEnv, outDir string) error {
	return a.ask(ctx, "build_wheel", srcDir, env, []string{"wheel", insideOut}, func(_ []byte, out *os.Root) error {
		wheels, err := fs.Glob(out.FS(), "*.whl")
		if err != nil {
			return err
		}
		if len(wheels) != 1 {
			return fmt.Errorf("the backend left %d wheels: %s", len(wheels), strings.Join(wheels, ", "))
		}
		// The build wrote there: a pipe would make the opening wait for ever.
		if info, err := out.Lstat(wheels[0]); err != nil || !info.Mode().IsRegular() || info.Size() > maxWheel {
			return fmt.Errorf("the backend left no usable file as %q", wheels[0])
		}
		from, err := out.Open(wheels[0])
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.Create(filepath.Join(outDir, filepath.Base(wheels[0])))
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			to.Close()
			return err
		}
		return to.Close()
	})
}
