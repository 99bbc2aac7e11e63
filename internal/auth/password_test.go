package auth

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A hash by the reference implementation (phc-winner-argon2, test.c).
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestReferenceHash(t *testing.T) {
	h := newHasher(DefaultCost)
	for password, want := range map[string]bool{"password": true, "Password": false, "": false} {
		ok, stale, err := h.verify(t.Context(), reference, password)
		if err != nil || ok != want || !stale {
			t.Errorf("%q: %v, stale %v, %v", password, ok, stale, err)
		}
	}
	hash, err := h.hash(t.Context(), "grüße aus Gießen") // u with diaeresis as one code point
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatal(hash, err)
	}
	ok, stale, err := h.verify(t.Context(), hash, "gru\u0308ße aus Gießen") // and as two
	if !ok || stale || err != nil {
		t.Errorf("from another keyboard: %v, %v, %v", ok, stale, err)
	}
	if again, _ := h.hash(t.Context(), "grüße aus Gießen"); again == hash {
		t.Error("two hashes of a password are the same")
	}
	if ok, _, err := h.verify(t.Context(), "", ""); ok || err != nil {
		t.Errorf("nobody has a password: %v, %v", ok, err)
	}
	if ok, _, err := h.verify(t.Context(), hash, strings.Repeat("x", MaxPassword+1)); ok || err != nil {
		t.Errorf("a giant one: %v, %v", ok, err)
	}
}

func TestPasswordBounds(t *testing.T) {
	for password, good := range map[string]bool{
		"":                        false,
		"elevenchars":             false,
		"twelve chars":            true,
		strings.Repeat("x", 1024): true,
		strings.Repeat("x", 1025): false,
		"not UTF-8 text \xff":     false,
	} {
		if err := checkPassword(password); (err == nil) != good {
			t.Errorf("%.30q: %v", password, err)
		}
	}
}

// When the cost goes up, whoever logs in gets a hash of the new cost.
func TestOldHashesAreMadeAnew(t *testing.T) {
	f := newFixture(t, t.TempDir()+"/db")
	dearer, err := New(Config{Store: f.db, Cost: Cost{Memory: 128, Passes: 2, Threads: 1}})
	f.must(err)
	for range 2 {
		_, _, err = dearer.Login(t.Context(), request("192.0.2.1:1"), "ada", password)
		f.must(err)
		u, err := f.db.UserNamed(t.Context(), "ada")
		f.must(err)
		if !strings.Contains(u.Hash, "$m=128,t=2,p=1$") {
			t.Errorf("kept: %s", u.Hash)
		}
	}
}

func FuzzPHC(f *testing.F) {
	for _, seed := range []string{
		reference,
		"",
		"$argon2id$",
		"$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=257$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=+65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29t\nZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$$",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err != nil {
			return
		}
		if p.Memory > 1<<20 || p.Memory < 8*uint32(p.Threads) || p.Passes < 1 || p.Threads < 1 || len(p.key) < 16 {
			t.Fatalf("%q was taken: %+v", text, p)
		}
		if p.String() != strings.ReplaceAll(strings.ReplaceAll(text, "\n", ""), "\r", "") {
			t.Errorf("%q is written %q", text, p)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{newToken(), "rqp_", "", "rqp_" + strings.Repeat("0", 49), "rqp_" + strings.Repeat("z", 49), "RQP_" + strings.Repeat("0", 49), "rqp_" + strings.Repeat("é", 24) + "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkToken(text) && (len(text) != 53 || tokenText.FindString(text) != text) {
			t.Errorf("%q is taken for a token", text)
		}
	})
}

func TestTokenChecksum(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		token := newToken()
		if !checkToken(token) || seen[token] {
			t.Fatalf("%q", token)
		}
		seen[token] = true
		i := rapid.IntRange(0, len(token)-1).Draw(t, "place")
		b := rapid.SampledFrom([]byte(base62+"_-. ")).Draw(t, "typed")
		if wrong := token[:i] + string(b) + token[i+1:]; wrong != token && checkToken(wrong) {
			t.Errorf("%q with a typing error is taken", token)
		}
		if checkToken(token+"0") || checkToken(token[:len(token)-1]) {
			t.Error("longer or shorter is taken")
		}
	})
}
