package pep508_test

import (
	"fmt"

	"reqpm/internal/pep508"
)

func ExampleParse() {
	r, err := pep508.Parse("Requests[Security, socks] (>=2.8.1, ==2.8.*) ; python_version < '3.13'")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Key(), r.Extras, r.Specifiers)
	fmt.Println(r)

	_, err = pep508.Parse("requests >= 2.8 ,, < 3")
	fmt.Println(err)
	// Output:
	// requests [security socks] ==2.8.*,>=2.8.1
	// Requests[security,socks]==2.8.*,>=2.8.1; python_version < "3.13"
	// not a PEP 508 requirement: "requests >= 2.8 ,, < 3": expected a semicolon or the end after the version specifiers (which commas separate), found ", < 3"
}

func ExampleMarker_EvalAny() {
	m, err := pep508.ParseMarker("python_version < '3.11' and extra == 'toml'")
	if err != nil {
		fmt.Println(err)
		return
	}
	el9, el10 := pep508.Linux("3.9.21", "x86_64"), pep508.Linux("3.12.9", "x86_64")
	fmt.Println(m.EvalAny(el9, nil), m.EvalAny(el9, []string{"toml", "yaml"}), m.EvalAny(el10, []string{"toml"}))
	// Output: false true false
}
