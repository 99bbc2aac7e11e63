package dnf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/target"
)

// entitlement writes a key and a certificate as subscription-manager does, NUMBER-key.pem and NUMBER.pem.
func entitlement(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"77-key.pem": {Type: "PRIVATE KEY", Bytes: private}, "77.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestSubscription(t *testing.T) {
	dir := t.TempDir()
	repo := target.Repo{
		ID: "baseos", SSLCACert: filepath.Join(dir, "ca.crt"),
		SSLClientCert: filepath.Join(dir, "*.pem"), SSLClientKey: filepath.Join(dir, "*-key.pem"),
	}
	mine := entitlement(t, dir)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("state")) }))
	clients := x509.NewCertPool()
	clients.AddCert(mine)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(repo.SSLCACert, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	repo.BaseURL = []string{server.URL + "/$basearch"}
	got, err := State(t.Context(), repo, target.Target{Arch: "x86_64"})
	if err != nil || string(got) != "state" {
		t.Errorf("state %q, %v", got, err)
	}
	if text := Repos([]target.Repo{repo})["baseos"]; !strings.Contains(text, "sslclientcert="+dir+"/77.pem\nsslclientkey="+dir+"/77-key.pem\n") {
		t.Errorf("dnf is told %s", text)
	}

	if err := os.Remove(filepath.Join(dir, "77-key.pem")); err != nil {
		t.Fatal(err)
	}
	_, err = State(t.Context(), repo, target.Target{Arch: "x86_64"})
	if missing, ok := errors.AsType[*CertificateError](err); !ok || missing.Repo != "baseos" || !strings.Contains(err.Error(), "subscription-manager register") {
		t.Errorf("without a key: %v", err)
	}
}
