package reqfile

import (
	"fmt"

	"reqpm/internal/pep508"
)

// ParseDirect reads "name @ address" where it stands in no file of the project but in the
// metadata of a package: a Git repository or an archive. Paths and file addresses are the
// machine's that wrote the metadata, and are refused.
func ParseDirect(r pep508.Requirement) (Requirement, error) {
	var q Requirement
	var err error
	switch scheme := urlScheme(r.URL); {
	case isVCS(scheme):
		q, _, err = parseVCS(r.URL)
	case scheme == "http" || scheme == "https":
		q, _, err = parseArchiveURL(r.URL)
	default:
		err = fmt.Errorf("addresses of the kind %s are not supported in metadata", quote(scheme))
	}
	if err != nil {
		return Requirement{}, err
	}
	q.Name, q.Extras, q.Marker = r.Name, r.Extras, r.Marker
	return q, nil
}
