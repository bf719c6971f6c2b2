"""The Ornstein-Uhlenbeck process of speech enhancement."""
