package site

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"os"
	"strings"
)

const adminUser = "admin"

// admin lets only the user admin pass.
func (s *site) admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		expected := s.adminPassword()
		if expected == "" {
			s.refuse(w, r, http.StatusForbidden, "this site has no admin password: nobody can ship or remove orders")
			return
		}
		user, password, given := r.BasicAuth()
		if !given || !same(user, adminUser) || !same(password, expected) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Orders", charset="UTF-8"`)
			s.refuse(w, r, http.StatusUnauthorized, "only the user admin ships and removes orders")
			return
		}
		next(w, r)
	}
}

// adminPassword is read at each use, so that a changed Secret needs no restart.
func (s *site) adminPassword() string {
	if s.settings.AdminPasswordFile == "" {
		return ""
	}
	text, err := os.ReadFile(s.settings.AdminPasswordFile)
	if err != nil {
		s.log.Error("admin password", "cause", err.Error())
		return ""
	}
	return strings.TrimRight(string(text), "\r\n")
}

// same compares without telling by its duration how much agrees.
func same(given, expected string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(expected))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
