"""The services of Tocsin: independent of each other, they meet in the contract alone."""
