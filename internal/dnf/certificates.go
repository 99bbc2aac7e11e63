package dnf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/target"
)

// CertificateError: a repository answers only to who has a subscription, and this machine has no
// certificate of one.
type CertificateError struct {
	Repo    string
	Pattern string // no file matches it
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("repository %s needs a subscription, and there is no %s; on a RHEL machine run: subscription-manager register", e.Repo, e.Pattern)
}

// withCertificates replaces patterns in the paths of repo's certificates by the files they match.
func withCertificates(repo target.Repo) (target.Repo, error) {
	for _, path := range []*string{&repo.SSLCACert, &repo.SSLClientCert, &repo.SSLClientKey} {
		if *path == "" {
			continue
		}
		found, err := filepath.Glob(*path)
		if err != nil {
			return repo, fmt.Errorf("repository %s: certificate %s: %w", repo.ID, *path, err)
		}
		for _, f := range found {
			// NUMBER-key.pem lies beside NUMBER.pem, and both match *.pem.
			if path != &repo.SSLClientCert || !strings.HasSuffix(f, "-key.pem") {
				*path, found = f, nil
				break
			}
		}
		if len(found) > 0 || strings.Contains(*path, "*") || !exists(*path) {
			return repo, &CertificateError{repo.ID, *path}
		}
	}
	return repo, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// client is what asks for repo's files: with its certificates where it has any.
func client(repo target.Repo) (*http.Client, error) {
	if repo.SSLCACert == "" && repo.SSLClientCert == "" {
		return http.DefaultClient, nil
	}
	repo, err := withCertificates(repo)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{}
	if repo.SSLCACert != "" {
		pem, err := os.ReadFile(repo.SSLCACert)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", repo.ID, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("repository %s: no certificate in %s", repo.ID, repo.SSLCACert)
		}
	}
	if repo.SSLClientCert != "" {
		pair, err := tls.LoadX509KeyPair(repo.SSLClientCert, repo.SSLClientKey)
		if err != nil {
			return nil, fmt.Errorf("repository %s: client certificate: %w", repo.ID, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}, nil
}
