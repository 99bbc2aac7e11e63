package mock

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cavaliergopher/rpm"
)

// header is what tells one build of a package from another: Mock's installed_pkgs.log has it.
type header struct {
	nevra     string
	buildTime int64
}

// headers are the RPMs that a build may install, by package name.
type headers map[string][]header

// readHeaders reads the headers of RPM files of our own.
func readHeaders(paths []string) (headers, error) {
	h := headers{}
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return nil, fmt.Errorf("RPM for the build root: %w", err)
		}
		pkg, err := rpm.Read(f)
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("RPM for the build root: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("RPM for the build root %s: %w", p, err)
		}
		epoch := ""
		if e := pkg.Epoch(); e > 0 {
			epoch = strconv.Itoa(e) + ":"
		}
		h[pkg.Name()] = append(h[pkg.Name()], header{
			nevra:     pkg.Name() + "-" + epoch + pkg.Version() + "-" + pkg.Release() + "." + pkg.Architecture(),
			buildTime: pkg.BuildTime().Unix(),
		})
	}
	return h, nil
}

// foreign are the packages of an installed_pkgs.log ("NEVRA BUILDTIME SIZE installed", a line
// each) that we have by that name, and that are neither ours nor in the base: dnf took them from
// the target's repositories, as it does silently when ours does not fit.
func (h headers) foreign(lines, base []string) []string {
	var list []string
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) < 2 || slices.Contains(base, f[0]) {
			continue
		}
		ours := h[packageName(f[0])]
		if len(ours) == 0 {
			continue
		}
		when, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || !slices.Contains(ours, header{f[0], when}) {
			list = append(list, f[0])
		}
	}
	return list
}

// packageName is the name in NAME-[EPOCH:]VERSION-RELEASE.ARCH.
func packageName(nevra string) string {
	parts := strings.Split(nevra, "-")
	return strings.Join(parts[:max(0, len(parts)-2)], "-")
}
